// The yardstick of the OpenZiti bench: a plain reverse proxy at each end of a service, on the official SDK.
//
//	goproxy host -identity FILE -service NAME -target http://HOST:PORT
//	goproxy dial -identity FILE -service NAME -listen HOST:PORT
//
// Both are httputil.ReverseProxy at its best for the purpose: buffers are reused, as many idle connections
// are kept as there are clients, nothing is logged. With -flow-control the SDK manages flow control itself
// (header 1028, "xgress"), else the router does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/openziti/sdk-golang/ziti"
	"github.com/sirupsen/logrus"
)

const (
	idleConnections = 1024
	pieceBytes      = 64 * 1024
)

type pieces struct{ pool sync.Pool }

func (p *pieces) Get() []byte      { return *p.pool.Get().(*[]byte) }
func (p *pieces) Put(piece []byte) { p.pool.Put(&piece) }

func newPieces() *pieces {
	return &pieces{sync.Pool{New: func() any {
		piece := make([]byte, pieceBytes)
		return &piece
	}}}
}

func proxy(target *url.URL, dial func(context.Context, string, string) (net.Conn, error)) *http.Server {
	return &http.Server{
		Handler: &httputil.ReverseProxy{
			Rewrite: func(request *httputil.ProxyRequest) {
				request.SetURL(target)
				request.SetXForwarded()
			},
			Transport: &http.Transport{
				DialContext:         dial,
				MaxIdleConns:        idleConnections,
				MaxIdleConnsPerHost: idleConnections,
				IdleConnTimeout:     time.Minute,
				DisableCompression:  true,
				ReadBufferSize:      pieceBytes,
				WriteBufferSize:     pieceBytes,
			},
			BufferPool: newPieces(),
			ErrorLog:   log.New(io.Discard, "", 0),
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "goproxy:", err)
		os.Exit(1)
	}
	return value
}

func host(zt ziti.Context, service, target string, flowControl bool) {
	options := ziti.DefaultListenOptions()
	options.SdkFlowControl = &flowControl
	options.WaitForNEstablishedListeners = 1
	listener := must(zt.ListenWithOptions(service, options))
	fmt.Println("ready")
	dialer := net.Dialer{}
	must(0, proxy(must(url.Parse(target)), dialer.DialContext).Serve(listener))
}

func dial(zt ziti.Context, service, listen string, flowControl bool) {
	options := &ziti.DialOptions{ConnectTimeout: 15 * time.Second, SdkFlowControl: &flowControl}
	over := func(context.Context, string, string) (net.Conn, error) {
		return zt.DialWithOptions(service, options)
	}
	listener := must(net.Listen("tcp", listen))
	fmt.Println("ready", listener.Addr())
	target := &url.URL{Scheme: "http", Host: "service"}
	must(0, proxy(target, over).Serve(listener))
}

func main() {
	logrus.SetLevel(logrus.ErrorLevel)
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "goproxy: host or dial?")
		os.Exit(2)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	identity := flags.String("identity", "", "an identity file")
	service := flags.String("service", "", "the service's name")
	target := flags.String("target", "", "host: where requests go")
	listen := flags.String("listen", "127.0.0.1:0", "dial: where they come from")
	flowControl := flags.Bool("flow-control", false, "the SDK's own flow control")
	_ = flags.Parse(os.Args[2:])
	zt := must(ziti.NewContext(must(ziti.NewConfigFromFile(*identity))))
	switch os.Args[1] {
	case "host":
		host(zt, *service, *target, *flowControl)
	case "dial":
		dial(zt, *service, *listen, *flowControl)
	default:
		fmt.Fprintln(os.Stderr, "goproxy: host or dial?")
		os.Exit(2)
	}
}
