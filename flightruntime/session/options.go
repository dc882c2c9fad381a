package session

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/flight"
	gen "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/protobuf/proto"
)

// valueOf is an option's value: a string, a bool, an int64, a float64 or a []string; nil if it is not set.
func valueOf(v *flight.SessionOptionValue) any {
	switch v := v.GetOptionValue().(type) {
	case *gen.SessionOptionValue_StringValue:
		return v.StringValue
	case *gen.SessionOptionValue_BoolValue:
		return v.BoolValue
	case *gen.SessionOptionValue_Int64Value:
		return v.Int64Value
	case *gen.SessionOptionValue_DoubleValue:
		return v.DoubleValue
	case *gen.SessionOptionValue_StringListValue_:
		return v.StringListValue.GetValues()
	default:
		return nil
	}
}

// valueFrom is the message of a value; false if no message is of that type.
func valueFrom(value any) (v *flight.SessionOptionValue, ok bool) {
	switch value := value.(type) {
	case nil:
		return &flight.SessionOptionValue{}, true
	case string:
		return &flight.SessionOptionValue{OptionValue: &gen.SessionOptionValue_StringValue{StringValue: value}}, true
	case bool:
		return &flight.SessionOptionValue{OptionValue: &gen.SessionOptionValue_BoolValue{BoolValue: value}}, true
	case int64:
		return &flight.SessionOptionValue{OptionValue: &gen.SessionOptionValue_Int64Value{Int64Value: value}}, true
	case float64:
		return &flight.SessionOptionValue{OptionValue: &gen.SessionOptionValue_DoubleValue{DoubleValue: value}}, true
	case []string:
		list := &gen.SessionOptionValue_StringListValue{Values: value}
		return &flight.SessionOptionValue{OptionValue: &gen.SessionOptionValue_StringListValue_{StringListValue: list}}, true
	default:
		return nil, false
	}
}

// optionSet is options within the bounds.
type optionSet struct {
	values map[string]*flight.SessionOptionValue
	bytes  int // of values in a GetSessionOptionsResult
}

// entryBytes is what an option takes in a GetSessionOptionsResult.
func entryBytes(name string, v *flight.SessionOptionValue) int {
	return proto.Size(&flight.GetSessionOptionsResult{SessionOptions: map[string]*flight.SessionOptionValue{name: v}})
}

// put sets an option, or removes it if the value is not set. An option that is refused stays as it was.
func (o *optionSet) put(name string, v *flight.SessionOptionValue) error {
	before, known := o.values[name]
	without := o.bytes
	if known {
		without -= entryBytes(name, before)
	}
	if v.GetOptionValue() == nil {
		delete(o.values, name)
		o.bytes = without
		return nil
	}
	size := without + entryBytes(name, v)
	if size > maxOptionBytes || !known && len(o.values) >= MaxOptions {
		return ErrNotSet
	}
	if o.values == nil {
		o.values = map[string]*flight.SessionOptionValue{}
	}
	o.values[name], o.bytes = v, size
	return nil
}

// apply puts all options that are asked for, and gives the error of each that is refused. Removals come first, to make room; the order is
// the same each time.
func (m *Manager) apply(ctx context.Context, to *optionSet, asked map[string]*flight.SessionOptionValue) map[string]error {
	refused := map[string]error{}
	sets := func(name string) int {
		if asked[name].GetOptionValue() == nil {
			return 0
		}
		return 1
	}
	names := slices.SortedFunc(maps.Keys(asked), func(a, b string) int {
		return cmp.Or(cmp.Compare(sets(a), sets(b)), cmp.Compare(a, b))
	})
	for _, name := range names {
		err := m.allowed(ctx, name, asked[name])
		if err == nil {
			err = to.put(name, asked[name])
		}
		if err != nil {
			refused[name] = err
		}
	}
	return refused
}

func (m *Manager) allowed(ctx context.Context, name string, v *flight.SessionOptionValue) error {
	value := valueOf(v)
	if name == "" || len(name) > MaxNameBytes {
		return ErrInvalidName
	}
	if value == nil {
		return nil // to remove what is not there changes nothing
	}
	if list, ok := value.([]string); ok && len(list) > MaxListItems {
		return ErrInvalidValue
	}
	if m.check == nil {
		return nil
	}
	return m.check(ctx, name, value)
}

// errorValues are how Flight.proto numbers the errors of an option.
var errorValues = []struct {
	err   error
	value gen.SetSessionOptionsResult_ErrorValue
}{
	{ErrInvalidName, flight.SetSessionOptionsResultErrorInvalidName},
	{ErrInvalidValue, flight.SetSessionOptionsResultErrorInvalidValue},
	{ErrNotSet, flight.SetSessionOptionsResultErrorError},
}

func errorValue(err error) gen.SetSessionOptionsResult_ErrorValue {
	for _, e := range errorValues {
		if errors.Is(err, e.err) {
			return e.value
		}
	}
	return flight.SetSessionOptionsResultErrorError
}

func errorOf(value gen.SetSessionOptionsResult_ErrorValue) error {
	for _, e := range errorValues {
		if e.value == value {
			return e.err
		}
	}
	return ErrNotSet
}
