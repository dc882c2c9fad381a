{{- define "gvList" -}}
# API reference

Generated from the types in [api/v1alpha1](../api/v1alpha1) by `make generate`. The same text is in the cluster: `kubectl explain flightserver.spec`.
{{ range . }}
{{- template "gvDetails" . }}
{{ end }}
{{- end -}}
