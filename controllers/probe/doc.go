// Package probe asks Flight servers how they fare, apart from any reconciliation: a server that hangs holds up nobody but its own probe.
// It knows nothing of Kubernetes beyond names, and it decides nothing: what a result means for a FlightServer is for package status.
package probe
