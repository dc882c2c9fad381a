{{- define "type" }}
{{- if markdownShouldRenderType . }}

### {{ .Name }}

{{ .Doc | replace "\n" " " }}
{{- with index .Markers "kubebuilder:validation:XValidation" }}

Rules:
{{ range . }}
- {{ .Message }}
{{- end }}
{{- end }}
{{- if .References }}

Used in: {{ range $i, $reference := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $reference }}{{ end }}.
{{- end }}
{{- if .GVK }}

| Field | Meaning |
| --- | --- |
| `apiVersion` | `{{ .GVK.Group }}/{{ .GVK.Version }}` |
| `kind` | `{{ .GVK.Kind }}` |
{{- range .Members }}
| `{{ .Name }}` {{ markdownRenderType .Type }} | {{ if eq .Name "metadata" }}Name, namespace, labels, annotations.{{ else }}{{ .Type.Doc | replace "\n" " " | replace "|" "\\|" }}{{ end }} |
{{- end }}
{{- else if .Members }}

| Field | Meaning | Bounds |
| --- | --- | --- |
{{- range .Members }}
| `{{ .Name }}` {{ markdownRenderType .Type }} | {{ .Doc | replace "\n" " " | replace "|" "\\|" }} | {{ template "bounds" . }} |
{{- end }}
{{- else if .EnumValues }}

| Value | Meaning |
| --- | --- |
{{- range .EnumValues }}
| `{{ .Name }}` | {{ regexReplaceAll "^[A-Za-z]+: " .Doc "" | replace "\n" " " | replace "|" "\\|" | trim }} |
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "bounds" }}
{{- $bounds := list }}
{{- range .Validation }}{{ if ne . "Optional: {}" }}{{ $bounds = append $bounds (. | replace "|" "\\|") }}{{ end }}{{ end }}
{{- range index .Markers "kubebuilder:validation:XValidation" }}{{ $bounds = append $bounds (.Message | replace "|" "\\|") }}{{ end }}
{{- join "<br>" $bounds }}
{{- end -}}
