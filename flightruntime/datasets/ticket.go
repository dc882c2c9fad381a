package datasets

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/scan"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

const (
	// ticketPrefix tells a signed ticket from a dataset's name and from a query. Its digit is the version of what follows.
	ticketPrefix = "\x00ticket1\x00"
	// ticketLifetime is how long a ticket is good for; RenewFlightEndpoint gives another one.
	ticketLifetime = time.Hour
)

// ticket is what a signed ticket says. It holds all that it takes to answer, so that any replica can.
type ticket struct {
	// ID is that of the FlightInfo: what CancelFlightInfo cancels.
	ID    string     `json:"id"`
	Query scan.Query `json:"q"`
	// Range of the dataset that is read; nil means all of it.
	Range *unitRange `json:"r,omitempty"`
	// Identity is who asked, if callers are asked who they are. The ticket is good for nobody else.
	Identity string `json:"sub,omitempty"`
	Expires  int64  `json:"exp"` // Unix seconds
}

// newTicketID is a name that nobody guesses.
func newTicketID() string { return rand.Text() }

func (t ticket) sign(keys *signing.Keyring) ([]byte, error) {
	payload, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	return append([]byte(ticketPrefix), keys.Sign(signing.Ticket, payload)...), nil
}

func isSigned(raw []byte) bool {
	return strings.HasPrefix(string(raw[:min(len(raw), len(ticketPrefix))]), ticketPrefix)
}

// openTicket checks what a client brings.
func openTicket(raw []byte, keys *signing.Keyring, identity string, now time.Time) (ticket, error) {
	payload, err := keys.Open(signing.Ticket, raw[len(ticketPrefix):])
	if err != nil {
		return ticket{}, flightruntime.Errorf(flightruntime.KindInvalid, "the ticket of %d bytes is %w: ask for the FlightInfo again", len(raw), err)
	}
	var t ticket
	if err := json.Unmarshal(payload, &t); err != nil {
		return ticket{}, flightruntime.Errorf(flightruntime.KindInvalid, "the ticket is of another version of this server: ask for the FlightInfo again")
	}
	if !now.Before(time.Unix(t.Expires, 0)) {
		return ticket{}, flightruntime.Errorf(flightruntime.KindInvalid, "the ticket expired at %s: ask for the FlightInfo again, or renew endpoints in time with the action RenewFlightEndpoint",
			time.Unix(t.Expires, 0).UTC().Format(time.RFC3339))
	}
	if t.Identity != "" && t.Identity != identity {
		return ticket{}, flightruntime.Errorf(flightruntime.KindUnauthorized, "the ticket was given to somebody else: ask for the FlightInfo yourself")
	}
	return t, nil
}
