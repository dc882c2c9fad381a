package flightruntime

import (
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Nothing of a call's message is read before it is known who calls: who is refused need not even send it.
func TestWhoIsRefusedIsNotListenedTo(t *testing.T) {
	server := start(t, allWell, ServerOptions{Auth: NewBasicAuth(users, nil), InsecureAuth: AllowInsecureAuth})
	conn, _ := connectTo(t, server)
	for _, method := range []Method{
		MethodListFlights, MethodGetFlightInfo, MethodPollFlightInfo, MethodGetSchema, MethodDoGet, MethodDoPut, MethodDoExchange, MethodDoAction, MethodListActions,
	} {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, flightMethods+string(method))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&emptypb.Empty{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s without a message: %v", method, err)
		}
	}
}

// A unary call has exactly one message.
func TestUnaryCallsHaveOneMessage(t *testing.T) {
	conn, _ := connectTo(t, start(t, allWell, ServerOptions{}))
	for messages, want := range []codes.Code{codes.Internal, codes.OK, codes.Internal} {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, flightMethods+string(MethodGetFlightInfo))
		if err != nil {
			t.Fatal(err)
		}
		for range messages {
			err = errors.Join(err, stream.SendMsg(&emptypb.Empty{}))
		}
		if err := errors.Join(err, stream.CloseSend()); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&emptypb.Empty{}); status.Code(err) != want {
			t.Errorf("%d messages: %v, want %s", messages, err, want)
		}
	}
}
