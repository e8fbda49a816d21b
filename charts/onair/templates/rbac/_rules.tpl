{{/* What the operator does with channels and what is made of them, where it watches. */}}
{{- define "onair.rules" -}}
# list, watch: every change, and what vanished meanwhile.
- apiGroups: [onair.dev]
  resources: [livestreams, assets]
  verbs: [list, watch]
# create: the Asset of each broadcast. A spec is never changed.
- apiGroups: [onair.dev]
  resources: [assets]
  verbs: [create]
# patch: the only thing that is written of a LiveStream.
- apiGroups: [onair.dev]
  resources: [livestreams/status, assets/status]
  verbs: [patch]
# update: children name their LiveStream as an owner that waits for them (blockOwnerDeletion); where
# OwnerReferencesPermissionEnforcement is on, as in OpenShift, that takes this right.
- apiGroups: [onair.dev]
  resources: [livestreams/finalizers]
  verbs: [update]
# list, watch: which there are, and when one has changed; only metadata is asked for. get: those that are needed, such as a
# stream key that a user brings. create, patch: generated stream keys, the settings of ingest pods, copies of a class's
# certificate; to apply something that is not there takes both. delete: those of earlier incarnations, and copies that a
# class has given up.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# list, watch: addresses, and whether somebody changed one. create, patch: the Service of a channel. It is never deleted:
# it goes with its LiveStream.
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch, create, patch]
# list, watch: which incarnation is there, and how it fares. create, delete: pods are replaced, never changed.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, delete]
# list, watch: whether somebody changed one. create, patch: the claim of a channel. Never deleted, likewise.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, watch, create, patch]
# list, watch: whether somebody changed one. create, patch: who may talk to an ingest pod. Never deleted, likewise.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch, create, patch]
{{- end }}

{{/* What it does in its own namespace. */}}
{{- define "onair.installationRules" -}}
# create: the lease by which one replica leads; a name cannot be asked for, as it is not there yet.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
# get, update: who leads, and that it still does. That lease only.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "onair.operator" . }}]
  verbs: [get, update]
{{- if .Values.watchNamespaces }}
# get: the root Secret, and those that classes name (certificates); their names are not known beforehand. list, watch: when
# one of them has changed; only metadata is asked for. create: the root Secret, once. It is never changed or deleted.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create]
{{- end }}
{{- end }}

{{/* kind (ClusterRole, Role), name: the roleRef and the subject of a binding. */}}
{{- define "onair.bind" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "onair.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
