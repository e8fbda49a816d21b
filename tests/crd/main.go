// Asks Kubernetes' own code whether an API server would take CustomResourceDefinition files.
//
// Each problem is one line; the exit status is 1 when there is one.
package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

func main() {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	refused := false
	for _, file := range os.Args[1:] {
		for _, problem := range problems(scheme, codecs, file) {
			fmt.Printf("%s: %v\n", file, problem)
			refused = true
		}
	}
	if refused {
		os.Exit(1)
	}
}

// problems decodes strictly (an unknown field is one), fills in defaults and validates, as the API server does.
func problems(scheme *runtime.Scheme, codecs serializer.CodecFactory, file string) []error {
	text, err := os.ReadFile(file)
	if err != nil {
		return []error{err}
	}
	decoded, _, err := codecs.UniversalDeserializer().Decode(text, nil, &v1.CustomResourceDefinition{})
	if err != nil {
		return []error{err}
	}
	crd, ok := decoded.(*v1.CustomResourceDefinition)
	if !ok {
		return []error{fmt.Errorf("is a %T", decoded)}
	}
	scheme.Default(crd)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := scheme.Convert(crd, internal, nil); err != nil {
		return []error{err}
	}
	for _, version := range internal.Spec.Versions {
		internal.Status.StoredVersions = append(internal.Status.StoredVersions, version.Name)
	}
	var found []error
	for _, err := range validation.ValidateCustomResourceDefinition(context.Background(), internal) {
		found = append(found, err)
	}
	return found
}
