package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// service knows one dataset.
type service struct{ flightruntime.BaseService }

func (service) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	if len(d.GetPath()) != 1 || d.GetPath()[0] != "ten" {
		return nil, flightruntime.Errorf(flightruntime.KindNotFound, "there is no such dataset")
	}
	return &flightruntime.FlightInfo{FlightDescriptor: d, AppMetadata: []byte(strings.Repeat("x", 1_000))}, nil
}

func TestLoad(t *testing.T) {
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", service{}, flightruntime.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	defer func() { _ = server.Shutdown(t.Context()) }()
	address := strings.TrimPrefix(server.Location().String(), "grpc://")
	request := func(name string) []byte {
		b, err := proto.Marshal(flightruntime.DescriptorForPath(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}

	got, err := load(address, "GetFlightInfo", request("ten"), 4, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	info := &flightruntime.FlightInfo{FlightDescriptor: flightruntime.DescriptorForPath("ten"), AppMetadata: make([]byte, 1_000)}
	const prefix = 5 // of a gRPC message
	if want := proto.Size(info) + prefix; got.ResponseBytes != want {
		t.Errorf("answers have %d bytes, want %d", got.ResponseBytes, want)
	}
	if got.Calls < 4 || got.P50 <= 0 || got.P99 < got.P50 {
		t.Errorf("implausible: %+v", got)
	}

	if _, err := load(address, "GetFlightInfo", request("other"), 4, time.Second); err == nil || !strings.Contains(err.Error(), "there is no such dataset") {
		t.Errorf("a refusal is counted as an answer: %v", err)
	}
}
