package flightruntime

import (
	"slices"

	"google.golang.org/grpc"
)

// lateReading registers services whose unary methods read their message once the call has been let in. As grpc-go has them, it is read and decoded, up to
// the largest that the server takes, before any interceptor: from whoever gets as far as a connection. To clients they are the same.
type lateReading struct{ grpc.ServiceRegistrar }

// RegisterService registers a service's unary methods as methods that answer by a stream, of one message.
func (r lateReading) RegisterService(d *grpc.ServiceDesc, service any) {
	late := *d
	late.Methods, late.Streams = nil, slices.Clone(d.Streams)
	for _, m := range d.Methods {
		late.Streams = append(late.Streams, grpc.StreamDesc{StreamName: m.MethodName, ServerStreams: true, Handler: func(service any, stream grpc.ServerStream) error {
			response, err := m.Handler(service, stream.Context(), stream.RecvMsg, nil)
			if err != nil {
				return err
			}
			return stream.SendMsg(response)
		}})
	}
	r.ServiceRegistrar.RegisterService(&late, service)
}
