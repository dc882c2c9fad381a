// Package chart holds no code: its tests prove that the chart in charts/flight-operator and the kustomization in config/default install
// the same objects, and that each value of the chart does what values.yaml says.
package chart
