{{/* The name of what is in the release's namespace: `onair` for the release `onair`, otherwise RELEASE-onair. */}}
{{- define "onair.fullname" -}}
{{- $name := .Values.fullnameOverride | default (contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name)) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "onair.operator" -}}
{{ include "onair.fullname" . }}-operator
{{- end }}

{{/* The name of what belongs to the whole cluster: installations of one name in two namespaces do not meet. */}}
{{- define "onair.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "onair.operator" .) }}
{{- end }}

{{- define "onair.labels" -}}
{{- with .Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: onair
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The operator's pods and nothing else: ingest pods have component ingest. A Deployment keeps its selector for ever. */}}
{{- define "onair.operatorSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* The same as name=value,name=value. */}}
{{- define "onair.operatorSelectorPairs" -}}
{{- $pairs := list }}
{{- range $name, $value := include "onair.operatorSelector" . | fromYaml }}
{{- $pairs = append $pairs (printf "%s=%s" $name $value) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}

{{- define "onair.operatorLabels" -}}
{{ include "onair.labels" . }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "onair.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "onair.operator" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | required "serviceAccount.name is needed with serviceAccount.create=false" }}
{{- end }}
{{- end }}

{{- define "onair.image" -}}
{{- $repository := .Values.image.repository | required "image.repository is not set: name the image that your cluster can pull, without its tag (make image builds one)" -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" $repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* Pod Security "restricted". The user is the image's, so that OpenShift may choose another. */}}
{{- define "onair.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "onair.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A short task of the same image: `name`, `script` (a file of Python), `token` (whether it asks the API server), `args`. */}}
{{- define "onair.task" -}}
restartPolicy: {{ .restartPolicy }}
automountServiceAccountToken: {{ .token }}
enableServiceLinks: false
securityContext: {{- include "onair.podSecurity" .root | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.operator.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.operator.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .name }}
    image: {{ include "onair.image" .root | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [python3, -c]
    args:
      - | {{- .root.Files.Get .script | nindent 8 }}
      {{- range .args }}
      - {{ . | quote }}
      {{- end }}
    resources:
      requests: {cpu: 10m, memory: 32Mi}
      limits: {memory: 128Mi}
    securityContext: {{- include "onair.containerSecurity" .root | nindent 6 }}
{{- end }}
