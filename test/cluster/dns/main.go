// Command coredns is CoreDNS with the few plugins that the DNS of a cluster without a way out needs. The full one brings
// the libraries of every cloud.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// The order in which queries pass through the plugins.
	dnsserver.Directives = []string{"errors", "loadbalance", "kubernetes", "template"}
	coremain.Run()
}
