module github.com/flight-operator/flight-operator/test/cluster

go 1.26.0

require golang.org/x/sys v0.48.0
