package datasets

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// What a FlightInfo says of a dataset follows its description, which changes without a new version of the data.
func TestFlightInfoFollowsTheDescription(t *testing.T) {
	s := serve(t)
	for _, description := range []string{"one", "two", ""} {
		d := inline("notes", "a\n1\n")
		d.Description = description
		s.Load(&config.Config{Limits: config.DefaultLimits(), Datasets: []config.Dataset{d}}, []byte(description))
		for said := "none"; said != description; time.Sleep(time.Millisecond) { // the catalog takes it up in its own time
			info, err := s.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("notes"))
			if errors.Is(err, flightruntime.ErrUnavailable) {
				continue
			}
			var about infoMetadata
			if err := errors.Join(err, json.Unmarshal(info.GetAppMetadata(), &about)); err != nil {
				t.Fatal(err)
			}
			said = about.Description
		}
	}
}

// Whatever the number of columns, a question about a whole dataset takes the same work.
func TestTheWorkOfAFlightInfo(t *testing.T) {
	asking := func(columns int) float64 {
		s := serve(t)
		names := make([]string, columns)
		for i := range names {
			names[i] = fmt.Sprint("c", i)
		}
		values := strings.TrimSuffix(strings.Repeat("1,", columns), ",")
		s.Load(&config.Config{Limits: config.DefaultLimits(), Datasets: []config.Dataset{inline("wide", strings.Join(names, ",")+"\n"+values+"\n")}}, nil)
		if err := s.catalog.Attempted(t.Context()); err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(100, func() {
			if _, err := s.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("wide")); err != nil {
				t.Fatal(err)
			}
		})
	}
	if one, many := asking(1), asking(200); many > one+1 { // one may come from a pool that forgets what it holds
		t.Errorf("a FlightInfo of 200 columns takes %v allocations, of one column %v", many, one)
	}
}
