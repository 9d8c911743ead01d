{{- define "teamrun.name" -}}
{{- contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "teamrun.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "teamrun.labels" -}}
{{ include "teamrun.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "teamrun.serviceAccount" -}}
{{- default (ternary (include "teamrun.name" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* What both pods have in common, at the level of `spec`. */}}
{{- define "teamrun.pod" -}}
serviceAccountName: {{ include "teamrun.serviceAccount" . }}
automountServiceAccountToken: false
# A service of the name of this chart would set TEAMRUN_PORT.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: team
    configMap: {name: {{ default (include "teamrun.name" .) .Values.team.existingConfigMap }}}
  - name: tmp
    emptyDir: {sizeLimit: 256Mi}
{{- end }}

{{/* What both containers have in common. */}}
{{- define "teamrun.container" -}}
image: "{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - secretRef: {name: {{ required "secret.name is needed: a secret with TEAMRUN_REDIS_URL and TEAMRUN_API_KEYS" .Values.secret.name }}}
volumeMounts:
  - {name: team, mountPath: /team, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "teamrun.env" -}}
- {name: TEAMRUN_STORE_URL, value: {{ required "store.url is needed, such as s3://bucket/prefix?region=eu-central-1" .Values.store.url | quote }}}
{{- range $name, $value := .Values.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
