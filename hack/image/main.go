// Command image builds a container image from one static binary, without Docker, a base image or a registry. It writes an archive that
// `ctr images import`, `kind load image-archive` and `minikube image load` read, and pushes to a registry if asked to.
//
// The same input gives the same image, bit by bit: times are SOURCE_DATE_EPOCH, or the epoch if that is not set.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run does what the command line says.
func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	created, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	o.spec.Created = created
	img, err := o.spec.build()
	if err != nil {
		return err
	}
	if err := write(o.out, o.spec.Name, img); err != nil {
		return err
	}
	if o.push == nil {
		return nil
	}
	if err := remote.Write(o.push, img, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push %s: %w", o.push, err)
	}
	return nil
}

// write puts the archive in its place only when it is whole.
func write(file string, tag name.Tag, img v1.Image) error {
	partial := file + ".partial"
	if err := tarball.WriteToFile(partial, tag, img); err != nil {
		_ = os.Remove(partial) // it may not even exist; the error to tell is the first one
		return err
	}
	return os.Rename(partial, file)
}

// sourceDate reads the time of the sources as https://reproducible-builds.org/specs/source-date-epoch defines it.
func sourceDate(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: expected seconds since 1970, got %q", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
