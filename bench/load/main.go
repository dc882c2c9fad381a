// Command load asks a Flight server the same small question again and again, on some connections at a time, and tells how long that took.
//
// It speaks HTTP/2 by itself: with a gRPC library on the same machine, most of what one measures is that library. What it sends is what gRPC
// clients send: header names and values that repeat are indexed, messages have their prefix, and pings and settings are acknowledged.
package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// result is what is printed, as JSON.
type result struct {
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	// P50 and P99 of the time that a call took, in seconds.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	// ResponseBytes of the messages of one answer: all have the same.
	ResponseBytes int `json:"responseBytes"`
}

func main() {
	address := flag.String("address", "", "`HOST:PORT` of a server without TLS")
	method := flag.String("method", "GetFlightInfo", "the RPC of FlightService")
	message := flag.String("message", "", "the request, encoded as protobuf, in base64")
	clients := flag.Int("clients", 1, "connections, each of which has one call at a time")
	duration := flag.Duration("duration", time.Second, "how long new calls begin")
	flag.Parse()
	request, err := base64.StdEncoding.DecodeString(*message)
	if err == nil {
		var r result
		if r, err = load(*address, *method, request, *clients, *duration); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(r)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// load connects all clients before the first of them calls.
func load(address, method string, request []byte, clients int, duration time.Duration) (result, error) {
	callers := make([]*caller, clients)
	for i := range callers {
		conn, err := net.Dial("tcp", address) //nolint:noctx // a command that ends with it
		if err != nil {
			return result{}, err
		}
		defer conn.Close()
		if callers[i], err = newCaller(conn, address, method, request); err != nil {
			return result{}, err
		}
	}
	size, err := callers[0].call()
	if err != nil {
		return result{}, err
	}
	took := make([][]time.Duration, clients)
	var group errgroup.Group
	begin := time.Now()
	for i, c := range callers {
		group.Go(func() error {
			for now := time.Now(); now.Sub(begin) < duration; {
				got, err := c.call()
				if err != nil {
					return err
				}
				if got != size {
					return fmt.Errorf("the first answer had %d bytes, another one %d", size, got)
				}
				after := time.Now()
				took[i] = append(took[i], after.Sub(now))
				now = after
			}
			return nil
		})
	}
	err = group.Wait()
	all := slices.Concat(took...)
	r := result{Calls: len(all), Seconds: time.Since(begin).Seconds(), ResponseBytes: size}
	if len(all) > 0 {
		slices.Sort(all)
		r.P50, r.P99 = quantile(all, 0.5).Seconds(), quantile(all, 0.99).Seconds()
	}
	return r, err
}

// quantile of times that are sorted and at least one.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}
