package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	servicePath = "/arrow.flight.protocol.FlightService/"
	// window of the connection and of each stream: more than the answers to small calls take, so that it is seldom opened anew.
	window = 16 << 20
	// initialWindow is HTTP/2's for a connection, which settings do not change.
	initialWindow = 65535
)

// caller is one connection, with one call at a time.
type caller struct {
	conn    net.Conn
	out     bytes.Buffer // what the next write takes to the server
	writer  *http2.Framer
	reader  *http2.Framer
	headers *hpack.Encoder
	block   bytes.Buffer
	fields  []hpack.HeaderField
	request []byte // with its prefix

	stream uint32 // of the next call
	unread int    // bytes by which the connection's window has shrunk
}

func newCaller(conn net.Conn, address, method string, request []byte) (*caller, error) {
	c := &caller{conn: conn, stream: 1}
	c.writer = http2.NewFramer(&c.out, nil)
	c.reader = http2.NewFramer(nil, bufio.NewReaderSize(conn, 64<<10))
	c.reader.SetReuseFrames()
	c.reader.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.headers = hpack.NewEncoder(&c.block)
	c.fields = []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: servicePath + method},
		{Name: ":authority", Value: address},
		{Name: "te", Value: "trailers"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "user-agent", Value: "flight-operator-bench"},
	}
	c.request = binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request)))
	c.request = append(c.request, request...)

	c.out.WriteString(http2.ClientPreface)
	if err := c.writer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		return nil, err
	}
	if err := c.writer.WriteWindowUpdate(0, window-initialWindow); err != nil {
		return nil, err
	}
	if err := c.flush(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *caller) flush() error {
	_, err := c.out.WriteTo(c.conn)
	return err
}

// call asks once, reads the whole answer and tells how many bytes its messages have.
func (c *caller) call() (int, error) {
	c.block.Reset()
	for _, f := range c.fields {
		if err := c.headers.WriteField(f); err != nil {
			return 0, err
		}
	}
	stream := c.stream
	c.stream += 2
	if err := c.writer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndHeaders: true}); err != nil {
		return 0, err
	}
	if err := c.writer.WriteData(stream, true, c.request); err != nil {
		return 0, err
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	size := 0
	for {
		frame, err := c.reader.ReadFrame()
		if err != nil {
			return 0, err
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			size += len(f.Data())
			if err := c.opened(int(f.Length)); err != nil {
				return 0, err
			}
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() {
				return size, succeeded(f)
			}
		default:
			if err := c.control(frame); err != nil {
				return 0, err
			}
		}
	}
}

// opened gives the server back the window that n bytes took, once it is half used up.
func (c *caller) opened(n int) error {
	if c.unread += n; c.unread < window/2 {
		return nil
	}
	n, c.unread = c.unread, 0
	if err := c.writer.WriteWindowUpdate(0, uint32(n)); err != nil {
		return err
	}
	return c.flush()
}

// control answers what is about the connection.
func (c *caller) control(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if err := c.writer.WriteSettingsAck(); err != nil {
			return err
		}
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		if err := c.writer.WritePing(true, f.Data); err != nil {
			return err
		}
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the server reset a stream: %s", f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Errorf("the server goes away: %s %q", f.ErrCode, f.DebugData())
	}
	return c.flush()
}

// succeeded gives an error unless the trailers say that the call went well.
func succeeded(trailers *http2.MetaHeadersFrame) error {
	var status, message string
	for _, f := range trailers.Fields {
		switch f.Name {
		case "grpc-status":
			status = f.Value
		case "grpc-message":
			message = f.Value
		}
	}
	if status != "0" {
		return fmt.Errorf("a call ended with the gRPC status %q: %s", status, message)
	}
	return nil
}
