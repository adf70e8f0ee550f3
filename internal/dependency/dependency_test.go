package dependency_test

import (
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/internal/dependency"
)

func TestFind(t *testing.T) {
	rows := map[string]struct {
		lines    string
		endpoint string // "-": it complains of no dependency; "?": of one that it does not name
	}{
		"a refused TCP connection in Go":                 {lines: "fatal: dial tcp 10.20.0.9:5432: connect: connection refused", endpoint: "10.20.0.9:5432"},
		"a host that Go does not find":                   {lines: "panic: dial tcp: lookup orders-db.shop.svc on 10.96.0.10:53: no such host\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:12 +0x1d", endpoint: "orders-db.shop.svc"},
		"the far end of a connection that was reset":     {lines: "error: read tcp 10.1.0.5:41234->10.2.0.9:6379: read: connection reset by peer", endpoint: "10.2.0.9:6379"},
		"Node.js refused":                                {lines: "Error: connect ECONNREFUSED 10.0.0.1:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)", endpoint: "10.0.0.1:5432"},
		"Node.js without a name":                         {lines: "Error: getaddrinfo ENOTFOUND ledger-db", endpoint: "ledger-db"},
		"libpq refused":                                  {lines: "Traceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\n    main()\npsycopg2.OperationalError: connection to server at \"ledger-db\" (10.4.1.9), port 5432 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", endpoint: "ledger-db:5432"},
		"PostgreSQL refuses the password":                {lines: "FATAL: password authentication failed for user \"orders\"", endpoint: "?"},
		"MySQL refuses the user":                         {lines: "2026-03-01 ERROR Access denied for user 'shop'@'10.1.2.3' (using password: YES)", endpoint: "?"},
		"PostgreSQL names the client, not itself":        {lines: `FATAL: no pg_hba.conf entry for host "10.1.2.3", user "shop", database "shop", no encryption`, endpoint: "?"},
		"Node.js prints the fields after the stack":      {lines: "Error: connect ECONNREFUSED 10.0.0.1:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16) {\n  errno: -111,\n  code: 'ECONNREFUSED',\n  syscall: 'connect',\n  address: '10.0.0.1',\n  port: 5432\n}\n\nNode.js v20.11.0", endpoint: "10.0.0.1:5432"},
		".NET names the inner exception after the outer": {lines: "Unhandled exception. Npgsql.NpgsqlException (0x80004005): Failed to connect to 10.0.0.9:5432\n ---> System.Net.Sockets.SocketException (111): Connection refused\n   at Npgsql.Internal.NpgsqlConnector.Connect(NpgsqlTimeout timeout)\n   --- End of inner exception stack trace ---", endpoint: "10.0.0.9:5432"},
		"libpq names the host in the next line":          {lines: "psycopg2.OperationalError: could not connect to server: Connection refused\n\tIs the server running on host \"ledger-db\" and accepting\n\tTCP/IP connections on port 5432?\n\n(Background on this error at: https://sqlalche.me/e/14/e3q8)", endpoint: "ledger-db"},
		"libpq names host and port in the next line":     {lines: "could not connect to server: Connection refused\n\tIs the server running on host \"ledger-db\" and accepting TCP/IP connections on port 5432?", endpoint: "ledger-db:5432"},
		"a source line before the host":                  {lines: "2026/05/04 12:00:00 main.go:42: failed to connect to redis:6379: connection refused", endpoint: "redis:6379"},
		"a source line in JSON":                          {lines: `{"level":"fatal","caller":"cmd/main.go:42","msg":"connect to ledger-db:5432: connection refused"}`, endpoint: "ledger-db:5432"},
		"a stack longer than all that is considered":     {lines: "Caused by: java.net.ConnectException: Connection refused ledger:9092\n" + strings.Repeat("\tat com.example.Deep.call(Deep.java:12)\n", 45) + "\t... 23 more", endpoint: "ledger:9092"},
		"a port that was taken for a secret":             {lines: "cannot connect to password-db:[redacted] connection refused", endpoint: "password-db"},
		"a word that was taken for a secret":             {lines: `Error: vault: Get "https://vault.infra.svc:8200/v1/secret": [redacted] deadline exceeded`, endpoint: "vault.infra.svc:8200"},
		"Java names the root cause last":                 {lines: "org.springframework.beans.factory.BeanCreationException: Error creating bean\nCaused by: java.net.ConnectException: Connection refused (Connection refused) ledger:9092\n\tat java.net.Socket.connect(Socket.java:606)\n\t... 23 more", endpoint: "ledger:9092"},
		"Java without a name":                            {lines: "Caused by: java.net.UnknownHostException: ledger-db", endpoint: "ledger-db"},
		"a generic last line after the reason":           {lines: "error: connecting to redis://:[redacted]@cache:6379/0: i/o timeout\nfatal: startup failed\nexiting", endpoint: "cache:6379"},
		"retries that were warnings, then the end":       {lines: "WARN could not connect to broker kafka-0.kafka:9092, retry 5\nWARN could not connect to broker kafka-0.kafka:9092, retry 6\nERROR giving up after 6 attempts", endpoint: "kafka-0.kafka:9092"},
		"a database that starts":                         {lines: "FATAL: the database system is starting up", endpoint: "?"},
		"too many clients":                               {lines: "pq: sorry, too many clients already", endpoint: "?"},
		"gRPC":                                           {lines: "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp 10.9.9.9:50051: connect: connection refused\"", endpoint: "10.9.9.9:50051"},
		"JDBC":                                           {lines: "org.postgresql.util.PSQLException: Connection to ledger-db:5432 refused. Check that the hostname and port are correct", endpoint: "ledger-db:5432"},
		"an HTTP service that can't serve":               {lines: "ERROR: GET https://auth.shop.svc/keys: 503 Service Unavailable", endpoint: "auth.shop.svc"},
		"MongoDB":                                        {lines: "MongoServerSelectionError: connect ECONNREFUSED 10.3.3.3:27017", endpoint: "10.3.3.3:27017"},

		"Python that waited":            {lines: "fatal: connecting to ledger-db.shop.svc:5432: timed out", endpoint: "ledger-db.shop.svc:5432"},
		"Python with an exception":      {lines: "Traceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\nredis.exceptions.TimeoutError: Timeout reading from cache:6379", endpoint: "cache:6379"},
		"a deadline, and a host":        {lines: "fatal: rpc to billing.shop.svc:50051: deadline exceeded", endpoint: "billing.shop.svc:50051"},
		"a host that does not answer":   {lines: "fatal: 10.20.0.9:5432: operation timed out", endpoint: "10.20.0.9:5432"},
		"a lock that was waited for":    {lines: "fatal: acquiring the migration lock timed out", endpoint: "-"},
		"a time-out in its source file": {lines: "panic: main.go:42: test timed out", endpoint: "-"},
		"its own port that timed out":   {lines: "fatal: waiting for 127.0.0.1:8080: timed out", endpoint: "-"},

		"a flag that is not defined":                              {lines: "fatal: flag --cache is not defined", endpoint: "-"},
		"a variable that is not set":                              {lines: "error: configuration: PAYMENT_URL is not set", endpoint: "-"},
		"telemetry that refused, and a panic of another kind":     {lines: "error: exporting spans: dial tcp 10.7.7.7:4317: connect: connection refused\npanic: runtime error: invalid memory address or nil pointer dereference\ngoroutine 1 [running]:", endpoint: "-"},
		"a warning about a service, and a panic in its own words": {lines: "warn: cache redis:6379: connection refused, going on without\npanic: no ledger", endpoint: "-"},
		"an address that it was given wrong":                      {lines: "fatal: dial tcp: address ledger: missing port in address", endpoint: "-"},
		"a certificate of its own":                                {lines: "fatal: loading certificate: x509: malformed certificate", endpoint: "-"},
		"a port of its own that is taken":                         {lines: "listen tcp :8080: bind: address already in use", endpoint: "-"},
		"its own sidecar":                                         {lines: "error: dial tcp 127.0.0.1:15000: connect: connection refused", endpoint: "-"},
		"its own sidecar over IPv6":                               {lines: "error: dial tcp [::1]:15000: connect: connection refused", endpoint: "-"},
		"a Python error of its own":                               {lines: "Traceback (most recent call last):\nKeyError: 'DATABASE_URL'", endpoint: "-"},
		"nothing at all":                                          {lines: "", endpoint: "-"},
		"words without an error":                                  {lines: "nothing to do, bye", endpoint: "-"},
		"a file that is not there":                                {lines: "error: open /config/orders.yaml: no such file or directory", endpoint: "-"},
		"a parser":                                                {lines: "error: parsing /settings/mode: no mode", endpoint: "-"},
		"a service it complained of long before its last errors":  {lines: "error: dial tcp 10.20.0.9:5432: connect: connection refused\n" + strings.Repeat("error: job rejected\n", 8), endpoint: "-"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, found := dependency.Find(strings.Split(row.lines, "\n"))
			want := row.endpoint
			switch {
			case want == "-" && found:
				t.Errorf("complains of %q by %q, want of none", got.Endpoint, got.Line)
			case want != "-" && !found:
				t.Error("complains of no dependency")
			case found && want == "?" && got.Endpoint != "":
				t.Errorf("names %q, want none", got.Endpoint)
			case found && want != "?" && got.Endpoint != want:
				t.Errorf("names %q, want %q", got.Endpoint, want)
			}
		})
	}
}

func TestHost(t *testing.T) {
	for endpoint, want := range map[string]string{"ledger-db:5432": "ledger-db", "10.0.0.1:80": "10.0.0.1", "[fd00::1]:80": "fd00::1", "ledger-db": "ledger-db", "": ""} {
		if got := (dependency.Complaint{Endpoint: endpoint}).Host(); got != want {
			t.Errorf("host of %q is %q, want %q", endpoint, got, want)
		}
	}
}

func TestMentions(t *testing.T) {
	rows := map[string]struct {
		value, host string
		want        bool
	}{
		"a URL's host":                 {"postgres://app@ledger-db:5432/shop", "ledger-db", true},
		"the value itself":             {"ledger-db", "ledger-db", true},
		"one of several":               {"kafka-0:9092,kafka-1:9092", "kafka-1", true},
		"the end of a longer name":     {"old-ledger-db:5432", "ledger-db", false},
		"the beginning of a longer":    {"ledger-db-replica:5432", "ledger-db", false},
		"a longer one, and then it":    {"ledger-db-replica,ledger-db", "ledger-db", true},
		"a domain's first part":        {"ledger-db.shop.svc", "ledger-db", false},
		"no host is nowhere mentioned": {"ledger-db", "", false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := dependency.Mentions(row.value, row.host); got != row.want {
				t.Errorf("%q mentions %q: %t, want %t", row.value, row.host, got, row.want)
			}
		})
	}
}

func FuzzFind(f *testing.F) {
	f.Add("fatal: dial tcp 10.20.0.9:5432: connect: connection refused")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		if got, found := dependency.Find(lines); found && !strings.Contains(text, got.Line) {
			t.Errorf("the line %q is not in the text", got.Line)
		}
	})
}
