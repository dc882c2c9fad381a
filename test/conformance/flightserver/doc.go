// Package flightserver has the Flight services that pyarrow's client judges the library by, one for each theme of pyarrow's own tests.
// They are written as any user's would be, on what package flightruntime gives.
package flightserver
