package flightruntime

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A client is sent the answer to its call, and nothing that it would have to answer itself: pings, by which grpc-go measures connections, cost
// as much as a small call.
func TestACallIsAnsweredByItsFramesAlone(t *testing.T) {
	server := start(t, allWell, ServerOptions{})
	conn, err := net.Dial("tcp", server.Location().address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	headers := hpack.NewEncoder(&block)
	for stream := uint32(1); stream < 9; stream += 2 {
		block.Reset()
		for _, field := range [][2]string{
			{":method", "POST"},
			{":scheme", "http"},
			{":path", flightMethods + string(MethodGetFlightInfo)},
			{":authority", "x"},
			{"te", "trailers"},
			{"content-type", "application/grpc"},
		} {
			if err := headers.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		request := append(binary.BigEndian.AppendUint32([]byte{0}, 1000), 0x12, 0xe5, 0x07) // a command of 997 bytes
		if err := framer.WriteData(stream, true, append(request, make([]byte, 997)...)); err != nil {
			t.Fatal(err)
		}
		var got []http2.FrameType
		for ended := false; !ended; {
			frame, err := framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			head := frame.Header()
			if stream == 1 && head.StreamID == 0 && (head.Type == http2.FrameSettings || head.Type == http2.FrameWindowUpdate) {
				continue // the connection's beginning
			}
			got = append(got, head.Type)
			ended = head.Type == http2.FrameHeaders && head.Flags.Has(http2.FlagHeadersEndStream)
		}
		if want := []http2.FrameType{http2.FrameHeaders, http2.FrameData, http2.FrameHeaders}; !slices.Equal(got, want) {
			t.Errorf("call %d was answered by %v, want %v", stream/2+1, got, want)
		}
	}
}
