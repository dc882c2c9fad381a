package format

import (
	"math"
	"strconv"
	"unsafe"
)

// The spellings of values that pyarrow's CSV and JSON readers accept, and nothing else. All functions take the text as it stands in the
// file, never keep it, and report false for text that is no such value.

// trimBlanks takes off what pyarrow ignores around numbers, dates and times: blanks and tabs.
func trimBlanks(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}

// parseInt reads a decimal integer of 64 bits, or 0x and up to 16 hexadecimal digits, which are taken as two's complement.
func parseInt(v []byte) (int64, bool) {
	if len(v) > 2 && v[0] == '0' && v[1]|0x20 == 'x' {
		return parseHex(v[2:])
	}
	negative := len(v) > 0 && v[0] == '-'
	if negative {
		v = v[1:]
	}
	if len(v) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range v {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxInt64+1)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if negative {
		return -int64(n), n <= math.MaxInt64+1
	}
	return int64(n), n <= math.MaxInt64
}

func parseHex(v []byte) (int64, bool) {
	if len(v) > 16 {
		return 0, false
	}
	var n uint64
	for _, c := range v {
		var d byte
		switch {
		case '0' <= c && c <= '9':
			d = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			d = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | uint64(d)
	}
	return int64(n), true
}

// isFloat is true for decimal floating-point numbers, infinities and not-a-numbers in their usual spellings.
func isFloat(v []byte) bool {
	if len(v) > 0 && (v[0] == '+' || v[0] == '-') {
		v = v[1:]
	}
	i := digits(v, 0)
	n := i
	if i < len(v) && v[i] == '.' {
		end := digits(v, i+1)
		n += end - (i + 1)
		i = end
	}
	if n == 0 {
		return isInf(v) || isNaN(v)
	}
	if i < len(v) && v[i]|0x20 == 'e' {
		i++
		if i < len(v) && (v[i] == '+' || v[i] == '-') {
			i++
		}
		end := digits(v, i)
		if end == i {
			return false
		}
		i = end
	}
	return i == len(v)
}

// digits is the index of the first byte from i on that is no digit.
func digits(v []byte, i int) int {
	for i < len(v) && v[i]-'0' <= 9 {
		i++
	}
	return i
}

func isInf(unsigned []byte) bool { return foldsTo(unsigned, "inf") || foldsTo(unsigned, "infinity") }

// isNaN is true for nan, and nan with a payload of letters, digits and underscores in parentheses.
func isNaN(unsigned []byte) bool {
	if len(unsigned) < 3 || !foldsTo(unsigned[:3], "nan") {
		return false
	}
	payload := unsigned[3:]
	if len(payload) == 0 {
		return true
	}
	if len(payload) < 2 || payload[0] != '(' || payload[len(payload)-1] != ')' {
		return false
	}
	for _, c := range payload[1 : len(payload)-1] {
		if c != '_' && c-'0' > 9 && c|0x20-'a' > 'z'-'a' {
			return false
		}
	}
	return true
}

// foldsTo is true if v is the given lower-case word in whatever case.
func foldsTo(v []byte, word string) bool {
	if len(v) != len(word) {
		return false
	}
	for i, c := range v {
		if c|0x20 != word[i] {
			return false
		}
	}
	return true
}

// parseFloat reads what isFloat accepts. What is beyond float64 is infinite.
func parseFloat(v []byte) (float64, bool) {
	if !isFloat(v) {
		return 0, false
	}
	unsigned := v
	if v[0] == '+' || v[0] == '-' {
		unsigned = v[1:]
	}
	if isNaN(unsigned) {
		return math.NaN(), true
	}
	// The text lives longer than the call. An error can only be a range error, for which the value is right.
	f, _ := strconv.ParseFloat(unsafe.String(unsafe.SliceData(v), len(v)), 64)
	return f, true
}

func parseBool(v []byte) (value, ok bool) {
	switch string(v) {
	case "1", "true", "True", "TRUE":
		return true, true
	case "0", "false", "False", "FALSE":
		return false, true
	default:
		return false, false
	}
}

// twoDigits reads two digits at v[i:], or something above 99.
func twoDigits(v []byte, i int) int {
	tens, ones := v[i]-'0', v[i+1]-'0'
	if tens > 9 || ones > 9 {
		return 100
	}
	return int(tens)*10 + int(ones)
}

// parseDate reads YYYY-MM-DD as days since 1970.
func parseDate(v []byte) (int32, bool) {
	if len(v) != len("2006-01-02") || v[4] != '-' || v[7] != '-' {
		return 0, false
	}
	century, year, month, day := twoDigits(v, 0), twoDigits(v, 2), twoDigits(v, 5), twoDigits(v, 8)
	if century > 99 || year > 99 || month < 1 || month > 12 || day < 1 || day > daysIn(century*100+year, month) {
		return 0, false
	}
	return daysSince1970(century*100+year, month, day), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// daysSince1970 is for the proleptic Gregorian calendar from year 0 on. Years are counted from March, so that the leap day is the last.
func daysSince1970(year, month, day int) int32 {
	if month <= 2 {
		year--
		month += 12
	}
	year += 400 // year 0 begins in March of year -1: one cycle of the calendar later all is positive
	const daysBefore = 719468 + 146097
	return int32(365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - daysBefore)
}

const secondsInDay = 24 * 60 * 60

// parseTime reads HH:MM or HH:MM:SS as seconds since midnight.
func parseTime(v []byte) (int32, bool) {
	if len(v) != len("15:04") && len(v) != len("15:04:05") {
		return 0, false
	}
	return parseClock(v)
}

// parseClock reads HH, HH:MM or HH:MM:SS.
func parseClock(v []byte) (int32, bool) {
	switch len(v) {
	case 2, 5, 8:
	default:
		return 0, false
	}
	hour, minute, second := twoDigits(v, 0), 0, 0
	if len(v) >= 5 {
		if v[2] != ':' {
			return 0, false
		}
		minute = twoDigits(v, 3)
	}
	if len(v) == 8 {
		if v[5] != ':' {
			return 0, false
		}
		second = twoDigits(v, 6)
	}
	if hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return int32(hour*3600 + minute*60 + second), true
}

// timestamp is a point in time as ISO 8601 spells it.
type timestamp struct {
	seconds  int64 // since 1970, in UTC if zoned
	nanos    int32
	fraction bool // nanos were written
	zoned    bool // an offset from UTC, or Z, was written
}

// parseTimestamp reads YYYY-MM-DD, or that with T or a blank and HH, HH:MM, HH:MM:SS or HH:MM:SS.fffffffff (1 to 9 digits), each of which
// may be followed by Z, +HH, +HHMM or +HH:MM.
func parseTimestamp(v []byte) (t timestamp, ok bool) {
	const date = len("2006-01-02")
	if len(v) < date {
		return t, false
	}
	days, ok := parseDate(v[:date])
	if !ok {
		return t, false
	}
	t.seconds = int64(days) * secondsInDay
	if len(v) == date {
		return t, true
	}
	if v[date] != 'T' && v[date] != ' ' {
		return t, false
	}
	clock, offset, zoned, ok := cutZone(v[date+1:])
	if !ok {
		return t, false
	}
	if len(clock) > 8 {
		if t.nanos, ok = parseFraction(clock[8:]); !ok {
			return t, false
		}
		t.fraction = true
		clock = clock[:8]
	}
	second, ok := parseClock(clock)
	t.seconds += int64(second) - int64(offset)
	t.zoned = zoned
	return t, ok
}

// cutZone splits a clock from the zone behind it, whose offset is in seconds.
func cutZone(v []byte) (clock []byte, offset int32, zoned, ok bool) {
	n := len(v)
	if n > 0 && v[n-1] == 'Z' {
		return v[:n-1], 0, true, true
	}
	// A sign can stand 3, 5 or 6 bytes before the end: +HH, +HHMM, +HH:MM.
	for _, width := range [...]int{3, 5, 6} {
		if n < width || v[n-width] != '+' && v[n-width] != '-' {
			continue
		}
		zone := v[n-width+1:]
		hour, minute := twoDigits(zone, 0), 0
		if width == 6 && zone[2] != ':' {
			return nil, 0, false, false
		}
		if width > 3 {
			minute = twoDigits(zone, width-3)
		}
		if hour > 23 || minute > 59 {
			return nil, 0, false, false
		}
		offset = int32(hour*3600 + minute*60)
		if v[n-width] == '-' {
			offset = -offset
		}
		return v[:n-width], offset, true, true
	}
	return v, 0, false, true
}

// parseFraction reads a point and 1 to 9 digits as nanoseconds.
func parseFraction(v []byte) (int32, bool) {
	if len(v) < 2 || len(v) > 10 || v[0] != '.' {
		return 0, false
	}
	var n int32
	for i := 1; i < 10; i++ {
		n *= 10
		if i < len(v) {
			if v[i]-'0' > 9 {
				return 0, false
			}
			n += int32(v[i] - '0')
		}
	}
	return n, true
}

// unixNano is the timestamp in nanoseconds since 1970, if that fits in 64 bits. The least of seconds that do is one where pyarrow draws
// the line too: before the fraction is added.
func (t timestamp) unixNano() (int64, bool) {
	const second = 1_000_000_000
	if t.seconds > math.MaxInt64/second || t.seconds < math.MinInt64/second {
		return 0, false
	}
	n := t.seconds * second
	if n > math.MaxInt64-int64(t.nanos) {
		return 0, false
	}
	return n + int64(t.nanos), true
}
