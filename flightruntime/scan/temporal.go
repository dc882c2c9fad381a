package scan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name, in images that have no files of zones
)

// The years that CEL knows are 1 to 9999. What lies outside has no calendar here either: its year, month and so on are null.
var (
	firstSecond = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// timeOf is a timestamp in the given tick as a time, if it lies within the years that CEL knows.
func timeOf(v, tick int64) (time.Time, bool) {
	var seconds, nanos int64
	if tick >= tickSecond {
		var ok bool
		if seconds, ok = multiply(v, tick/tickSecond); !ok {
			return time.Time{}, false
		}
	} else {
		perSecond := tickSecond / tick
		seconds = floorDivide(v, perSecond)
		nanos = (v - seconds*perSecond) * tick
	}
	if seconds < firstSecond || seconds > lastSecond {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}

// floorDivide rounds towards minus infinity.
func floorDivide(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// compareTicks compares values whose ticks differ, exactly.
func compareTicks(tickX, tickY int64) func(x, y int64) (int, bool) {
	if tickX < tickY {
		finer := compareTicks(tickY, tickX)
		return func(x, y int64) (int, bool) {
			c, ok := finer(y, x)
			return -c, ok
		}
	}
	ratio := tickX / tickY
	return func(x, y int64) (int, bool) {
		whole := floorDivide(y, ratio)
		switch {
		case x < whole:
			return -1, true
		case x > whole:
			return 1, true
		case y != whole*ratio:
			return -1, true
		default:
			return 0, true
		}
	}
}

// inTick is values in a finer tick. What is too large for it is null.
func inTick(x values[int64], tick, finer int64) values[int64] {
	if tick == finer {
		return x
	}
	ratio := tick / finer
	return &mapped[int64, int64]{x: x, monotone: true, f: func(v int64) (int64, bool) { return multiply(v, ratio) }}
}

// parseTimestamp reads RFC 3339, as in 2024-01-31T12:00:00Z.
func parseTimestamp(s string) (time.Time, bool) {
	if strings.Contains(s, ",") { // time.Parse takes it for a decimal point
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Unix() < firstSecond || t.Unix() > lastSecond {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// parseDate reads a day, as in 2024-01-31: the timestamp of its beginning in UTC.
func parseDate(s string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, s)
	return t, err == nil && t.Unix() >= firstSecond
}

// inCoarsest is a time in the coarsest tick of Arrow's that holds it exactly. It is false if there is none.
func inCoarsest(t time.Time) (v, tick int64, ok bool) {
	for tick = tickSecond; tick > 1 && int64(t.Nanosecond())%tick != 0; tick /= 1000 {
	}
	v, ok = multiply(t.Unix(), tickSecond/tick)
	if !ok {
		return 0, 0, false
	}
	rest := int64(t.Nanosecond()) / tick
	if v > math.MaxInt64-rest {
		return 0, 0, false
	}
	return v + rest, tick, true
}

// nanosOf is a time in nanoseconds. It is false for times before 1678 and after 2261, which do not fit.
func nanosOf(t time.Time) (int64, bool) {
	v, tick, ok := inCoarsest(t)
	if !ok {
		return 0, false
	}
	return multiply(v, tick)
}

// zoneOf is a time zone by its name, or by its distance from UTC as in +02:00.
func zoneOf(name string) (*time.Location, error) {
	hours, minutes, numeric := strings.Cut(name, ":")
	if !numeric {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "" || name == "Local" {
			return nil, fmt.Errorf("there is no time zone %s: expected a name such as 'Europe/Amsterdam', or a distance from UTC such as '+02:00'", quoted(name))
		}
		return zone, nil
	}
	h, errHours := strconv.Atoi(hours)
	m, errMinutes := strconv.ParseUint(minutes, 10, 6)
	if errHours != nil || errMinutes != nil || h < -23 || h > 23 || m > 59 {
		return nil, fmt.Errorf("there is no time zone %s: expected a distance from UTC from '-23:59' to '+23:59', or a name such as 'Europe/Amsterdam'", quoted(name))
	}
	offset := h*60 + int(m)
	if strings.HasPrefix(hours, "-") {
		offset = h*60 - int(m)
	}
	return time.FixedZone(name, offset*60), nil
}

// calendar are the functions of timestamps, by name.
var calendar = map[string]func(time.Time) int{
	"getFullYear":     time.Time.Year,
	"getMonth":        func(t time.Time) int { return int(t.Month()) - 1 },
	"getDate":         time.Time.Day,
	"getDayOfMonth":   func(t time.Time) int { return t.Day() - 1 },
	"getDayOfWeek":    func(t time.Time) int { return int(t.Weekday()) },
	"getDayOfYear":    func(t time.Time) int { return t.YearDay() - 1 },
	"getHours":        time.Time.Hour,
	"getMinutes":      time.Time.Minute,
	"getSeconds":      time.Time.Second,
	"getMilliseconds": func(t time.Time) int { return t.Nanosecond() / int(time.Millisecond) },
}

// spans are the functions of durations, by name: the whole duration in that unit, without a fraction.
var spans = map[string]time.Duration{
	"getHours":        time.Hour,
	"getMinutes":      time.Minute,
	"getSeconds":      time.Second,
	"getMilliseconds": time.Millisecond,
}

// calendarField is a function of timestamps for values in the given tick.
func calendarField(name string, x values[int64], tick int64, zone *time.Location) values[int64] {
	field := calendar[name]
	return &mapped[int64, int64]{
		x: x,
		// A year never goes back; all else does. With zones that change, the first hour of a year may come twice.
		monotone: name == "getFullYear" && zone == time.UTC,
		f: func(v int64) (int64, bool) {
			t, ok := timeOf(v, tick)
			if !ok {
				return 0, false
			}
			if zone != time.UTC {
				t = t.In(zone)
			}
			return int64(field(t)), true
		},
	}
}

// span is a duration in another unit, rounded towards zero.
func span(x values[int64], tick int64, unit time.Duration) values[int64] {
	f := func(v int64) (int64, bool) { return v / (int64(unit) / tick), true }
	if tick > int64(unit) {
		f = func(v int64) (int64, bool) { return multiply(v, tick/int64(unit)) }
	}
	return &mapped[int64, int64]{x: x, f: f, monotone: true}
}

// secondsOf is a timestamp as seconds since 1970, rounded towards the past.
func secondsOf(x values[int64], tick int64) values[int64] {
	f := func(v int64) (int64, bool) { return floorDivide(v, tickSecond/tick), true }
	if tick > tickSecond {
		f = func(v int64) (int64, bool) { return multiply(v, tick/tickSecond) }
	}
	return &mapped[int64, int64]{x: x, f: f, monotone: true}
}

// timestampText is a timestamp as RFC 3339 has it.
func timestampText(x values[int64], tick int64) values[string] {
	return &mapped[int64, string]{x: x, f: func(v int64) (string, bool) {
		t, ok := timeOf(v, tick)
		return t.Format(time.RFC3339Nano), ok
	}}
}

// durationText is a duration as CEL has it: seconds, with a fraction if there is one.
func durationText(x values[int64], tick int64) values[string] {
	return &mapped[int64, string]{x: inTick(x, tick, 1), f: func(v int64) (string, bool) {
		return strconv.FormatFloat(time.Duration(v).Seconds(), 'f', -1, 64) + "s", true
	}}
}
