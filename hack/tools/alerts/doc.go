// Package alerts holds no code: its tests run the alert rules of config/prometheus in Prometheus' own engine.
package alerts
