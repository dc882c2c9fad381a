// Command hyperkube is every Kubernetes daemon of the test cluster, etcd and kubectl in one binary, so that the code
// they share is compiled, linked and kept once. The name it is called by (through a link), or else its first argument,
// chooses which of them it is.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's credential plugins
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics on the daemons' /metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metric on the daemons' /metrics
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs maps the name of each program to its main function. A command is constructed only when it is chosen:
// construction registers process-wide flags and feature gates, and two in one process would collide.
var programs = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          func() { daemon(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() { daemon(controllermanager.NewControllerManagerCommand()) },
	"kube-proxy":              func() { daemon(proxy.NewProxyCommand()) },
	"kube-scheduler":          func() { daemon(scheduler.NewSchedulerCommand()) },
	"kubectl":                 runKubectl,
	"kubelet":                 func() { daemon(kubelet.NewKubeletCommand(context.Background())) },
}

func main() {
	run, ok := programs[filepath.Base(os.Args[0])]
	if !ok && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		run, ok = programs[os.Args[0]]
	}
	if !ok {
		names := slices.Sorted(maps.Keys(programs))
		fmt.Fprintf(os.Stderr, "usage: hyperkube PROGRAM ARGS..., or a link of a program's name\nprograms: %s\n", strings.Join(names, ", "))
		os.Exit(2)
	}
	run()
}

// daemon runs a Kubernetes daemon until it ends, and ends the process with its exit code.
func daemon(command *cobra.Command) {
	os.Exit(cli.Run(command))
}

// runKubectl runs kubectl. The verbosity is set before the command exists because constructing it already logs
// (it looks for plugins and reads the user's preferences).
func runKubectl() {
	// A malformed -v is reported again, and then fatally, when the command parses its flags.
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
