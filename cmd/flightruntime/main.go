// Command flightruntime is the bundled Flight server: it serves the datasets of a configuration, in a pod or by itself.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flight-operator/flight-operator/internal/version"
)

func main() {
	tuneGarbageCollection()
	// The first signal drains, the second ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "flightruntime:", err)
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "flightruntime",
		Short:         "An Apache Arrow Flight server for Parquet, CSV, JSON and Arrow data",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand())
	return root
}
