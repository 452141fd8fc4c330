// The Go side of the interoperability test: hashicorp's yamux over TCP on loopback.
//
//	peer [-drive] listen|PORT
//
// Listening is the yamux server, connecting to PORT the client. The driver runs the scenarios
// against the responder of the other side (run.py has the protocol); 0 is success.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

var outcome = make(chan error, 1)

func check(ok bool, format string, arguments ...any) {
	if !ok {
		log.Fatalf("FAILED: "+format, arguments...)
	}
}

func pattern(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i*7 + i/251)
	}
	return out
}

func summary(size int, crc uint32) string { return fmt.Sprintf("%d %08x\n", size, crc) }

func respond(session *yamux.Session, stream *yamux.Stream) {
	in := bufio.NewReader(stream)
	line, err := in.ReadString('\n')
	check(err == nil, "command: %v", err)
	var size int
	switch {
	case line == "echo\n":
		_, err = io.Copy(stream, in)
		check(err == nil, "echo: %v", err)
		stream.Close()
	case line == "count\n":
		all, err := io.ReadAll(in)
		check(err == nil, "count: %v", err)
		fmt.Fprint(stream, summary(len(all), crc32.ChecksumIEEE(all)))
		stream.Close()
	case strings.HasPrefix(line, "send "):
		fmt.Sscanf(line, "send %d", &size)
		_, err = stream.Write(pattern(size))
		check(err == nil, "send: %v", err)
		stream.Close()
	case line == "reset\n":
		// This implementation resets only what the other side does not close in time.
		stream.Close()
	case line == "hold\n":
		fmt.Fprint(stream, "held\n")
		_, err = io.ReadAll(in)
		outcome <- err
	case line == "outcome\n":
		fmt.Fprintf(stream, "%v\n", <-outcome)
		stream.Close()
	case line == "bye\n":
		check(session.GoAway() == nil, "go away")
		fmt.Fprint(stream, "ok\n")
		stream.Close()
	default:
		check(false, "unknown command %q", line)
	}
}

func serve(session *yamux.Session) {
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		go respond(session, stream)
	}
}

func open(session *yamux.Session, command string) *yamux.Stream {
	stream, err := session.OpenStream()
	check(err == nil, "open: %v", err)
	_, err = stream.Write([]byte(command + "\n"))
	check(err == nil, "%s: %v", command, err)
	return stream
}

func answer(session *yamux.Session, command string) string {
	stream := open(session, command)
	all, err := io.ReadAll(stream)
	stream.Close()
	check(err == nil, "answer to %s: %v", command, err)
	return string(all)
}

func echo(session *yamux.Session, size int) {
	stream := open(session, "echo")
	sent := pattern(size)
	go func() {
		_, err := stream.Write(sent)
		check(err == nil, "echo write: %v", err)
		stream.Close()
	}()
	got, err := io.ReadAll(stream)
	check(err == nil && string(got) == string(sent), "echo of %d: %d bytes, %v", size, len(got), err)
}

func drive(session *yamux.Session) {
	_, err := session.Ping()
	check(err == nil, "ping: %v", err)

	echo(session, 0)
	echo(session, 1)
	echo(session, 8_000_000)

	stream := open(session, "count")
	sent := pattern(3_000_000)
	_, err = stream.Write(sent)
	check(err == nil, "count: %v", err)
	stream.Close()
	got, err := io.ReadAll(stream)
	want := summary(len(sent), crc32.ChecksumIEEE(sent))
	check(err == nil && string(got) == want, "count: %q, %v", got, err)

	check(answer(session, "send 20000000") == string(pattern(20_000_000)), "send")

	var all sync.WaitGroup
	for i := 0; i < 200; i++ {
		all.Add(1)
		go func(size int) {
			defer all.Done()
			echo(session, size)
		}(i * 777)
	}
	all.Wait()

	_, err = io.ReadAll(open(session, "reset"))
	check(errors.Is(err, yamux.ErrConnectionReset), "reset by the peer: %v", err)

	// Closed here, not there: reset after StreamCloseTimeout.
	held := open(session, "hold")
	line, err := bufio.NewReader(held).ReadString('\n')
	check(err == nil && line == "held\n", "hold: %q, %v", line, err)
	held.Close()
	told := answer(session, "outcome")
	check(strings.Contains(told, "reset"), "reset by us: %q", told)

	early := open(session, "echo")
	check(answer(session, "bye") == "ok\n", "bye")
	_, err = session.OpenStream()
	check(errors.Is(err, yamux.ErrRemoteGoAway), "open after a go-away: %v", err)
	_, err = early.Write([]byte("still here"))
	check(err == nil, "write after a go-away: %v", err)
	early.Close()
	got, err = io.ReadAll(early)
	check(err == nil && string(got) == "still here", "echo after a go-away: %q, %v", got, err)
	check(session.Close() == nil, "close")
}

func main() {
	log.SetFlags(0)
	driving := flag.Bool("drive", false, "run the scenarios")
	flag.Parse()
	config := yamux.DefaultConfig()
	// Long enough for all that is still under way when a stream is closed, short enough to wait for.
	config.StreamCloseTimeout = 2 * time.Second
	config.LogOutput = io.Discard

	var session *yamux.Session
	if flag.Arg(0) == "listen" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(err == nil, "listen: %v", err)
		fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
		connection, err := listener.Accept()
		check(err == nil, "accept: %v", err)
		session, err = yamux.Server(connection, config)
		check(err == nil, "server: %v", err)
	} else {
		connection, err := net.Dial("tcp", "127.0.0.1:"+flag.Arg(0))
		check(err == nil, "dial: %v", err)
		session, err = yamux.Client(connection, config)
		check(err == nil, "client: %v", err)
	}
	if *driving {
		drive(session)
	} else {
		serve(session)
	}
	os.Exit(0)
}
