// Package dependency reads from the last lines of a program's log which service
// outside its pod it could not use. It is pure: text in, text out. What it finds
// keeps a release from being blamed; it never causes a change by itself.
package dependency

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Complaint is what a program said about a service that it could not use.
type Complaint struct {
	// Line that says so.
	Line string
	// Endpoint is the host, with its port where the line has one; empty if the line names none.
	Endpoint string
}

// Host is the endpoint without its port.
func (c Complaint) Host() string {
	if addr, err := netip.ParseAddrPort(c.Endpoint); err == nil {
		return addr.Addr().String()
	}
	host, _, _ := strings.Cut(c.Endpoint, ":")
	return host
}

// Name is how a message calls the service.
func (c Complaint) Name() string {
	if c.Endpoint == "" {
		return "a service that its log does not name"
	}
	return c.Endpoint
}

// lastLines is how many lines before the end can say why a program ended, and
// lastErrors how many of them that speak of an error are considered: above those
// stands what the program survived.
const (
	lastLines  = 40
	lastErrors = 6
)

// Find returns what the last lines say of a service that could not be used. The
// line nearest to the end that gives a reason of its own decides: a telemetry
// endpoint that refused, followed by a panic about a nil pointer, is no complaint.
func Find(lines []string) (Complaint, bool) {
	last := lastWithoutFrames(lines)
	considered := 0
	for i, line := range slices.Backward(last) {
		complaint, names := read(line)
		switch {
		case names:
			return withEndpoint(complaint, last, i), true
		case isError.MatchString(line):
			considered++
		default:
			continue
		}
		if considered == lastErrors || hasOwnReason(line) {
			return Complaint{}, false
		}
	}
	return Complaint{}, false
}

// lastWithoutFrames returns the last lines that are no frame of a stack: a stack may be
// longer than all that can be said before it.
func lastWithoutFrames(lines []string) []string {
	var kept []string
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" && !isFrame.MatchString(line) {
			kept = append(kept, line)
		}
		if len(kept) == lastLines {
			break
		}
	}
	slices.Reverse(kept)
	return kept
}

// nearLines is how many lines from a complaint without a host its host can stand: programs
// print one error over several lines, and some of its fields after it.
const nearLines = 5

// withEndpoint takes the host of a complaint from the lines nearby, where its own line has
// none: from those before it that complain as well, and else from the one after it.
func withEndpoint(c Complaint, lines []string, at int) Complaint {
	if c.Endpoint != "" {
		return c
	}
	for _, line := range slices.Backward(lines[max(0, at-nearLines):at]) {
		if other, complains := read(line); complains && other.Endpoint != "" {
			return other
		}
	}
	if at+1 < len(lines) && goesOn.MatchString(lines[at+1]) {
		c.Endpoint = endpointOf(lines[at+1])
	}
	return c
}

// goesOn matches a second line of libpq's errors, which names the host.
var goesOn = regexp.MustCompile(`^Is the server running on `)

// read returns the complaint of one line.
func read(line string) (Complaint, bool) {
	endpoint := endpointOf(line)
	if !unusable.MatchString(line) && (endpoint == "" || !timeOut.MatchString(line)) || malformed.MatchString(line) || ownAddress.MatchString(line) && !otherAddress(line) {
		return Complaint{}, false
	}
	return Complaint{Line: line, Endpoint: endpoint}, true
}

// hasOwnReason reports whether an error line gives a reason that lies in the program
// or its configuration. "Startup failed" gives none; a panic with words of its own does.
func hasOwnReason(line string) bool {
	return ownReason.MatchString(line) || malformed.MatchString(line) || isFatal.MatchString(line) && !generic.MatchString(line)
}

// What programs, their runtimes and client libraries print. Sources: the messages of
// Go's net package, errno(3) as Node.js, Python and glibc name it, java.net, libpq and
// the servers of PostgreSQL, MySQL, Redis, MongoDB, Kafka and gRPC.
var (
	unusable = regexp.MustCompile(`(?i)` + strings.Join([]string{
		// no connection
		`connection refused`, `connection to \S+ (?:was )?refused`, `econnrefused`, `\bdial (?:tcp|udp)\b`, `i/o timeout`, `etimedout`, `\btimed? ?out (?:connecting|waiting for)`,
		`no route to host`, `ehostunreach`, `enetunreach`, `network is unreachable`, `connection (?:reset|timed out|closed|aborted|lost|terminated|failure|failed)`,
		`econnreset`, `server closed the connection`, `(?:could not|couldn't|cannot|can't|can not|unable to|failed to|error) (?:connect|connecting|reach|contact)\b`,
		`communications link failure`, `connect(?:ion)? (?:error|timeout)`, `tls handshake timeout`, `handshake failure`, `\bnot reachable\b|\bunreachable\b`,
		// no such host
		`no such host`, `enotfound`, `eai_again`, `getaddrinfo`, `name or service not known`, `temporary failure in name resolution`,
		`nodename nor servname`, `could not (?:translate host name|resolve host)`, `unknown ?host`, `name resolution`,
		// refused by the service
		`authentication fail`, `auth(?:entication)? error`, `access denied for user`, `login failed for user`, `wrongpass`, `\bnoauth\b`, `no pg_hba\.conf entry`,
		`role "[^"]*" does not exist`, `database "[^"]*" does not exist`, `unknown database`, `password .*(?:incorrect|rejected|invalid)`, `invalid (?:username|credentials|password)`,
		`\b401 unauthorized\b`, `\b403 forbidden\b`, `sasl`, `ora-\d{5}`,
		// not able to serve
		`too many (?:connections|clients)`, `remaining connection slots`, `max_connections|max_user_connections`, `pool (?:exhausted|timeout)`,
		`database system is (?:starting up|shutting down|in recovery)`, `service unavailable`, `bad gateway`, `gateway time-?out`, `no healthy upstream`, `upstream connect`,
		`broker\S* .*(?:not available|unavailable|down)`, `no brokers|leader[ _]not[ _]available|no leader`, `no reachable servers|server ?selection`, `no (?:living|alive) (?:connections|nodes)|nonodeavailable`,
		`code = (?:unavailable|deadlineexceeded|unauthenticated|permissiondenied)`, `(?:context|\[redacted\]) deadline exceeded`, `read-?only (?:transaction|replica|mode)`, `clusterdown|\bloading\b.*dataset`,
		`certificate (?:has expired|signed by unknown authority|verify failed)|x509:`,
	}, "|"))
	// timeOut is a complaint only in a line that names a host: "timed out" is all that some
	// libraries say of a connection, and others say it of a lock or a query.
	timeOut = regexp.MustCompile(`(?i)\btim(?:ed?|ing)[- ]?outs?\b|\bdeadline exceeded\b|\btook too long\b|\bno (?:response|reply|answer) from\b`)
	// malformed is an address that the program was given wrong: a fault of its configuration.
	malformed  = regexp.MustCompile(`(?i)missing port in address|unknown port|too many colons in address|unknown network|malformed certificate`)
	ownAddress = regexp.MustCompile(`(?i)\blocalhost\b|\b127\.\d+\.\d+\.\d+\b|\[?::1\]?(?:[:\s]|$)|\b0\.0\.0\.0\b`)

	isError   = regexp.MustCompile(`(?i)error|exception|fatal|panic|denied|refused|cannot|can't|could not|unable|fail|no such|not found|not set|missing|invalid|unknown|undefined|not defined|required|abort|critical|warn`)
	isFatal   = regexp.MustCompile(`(?i)\b(?:fatal|panic|critical|emerg|uncaught|unhandled|abort\w*)\b`)
	generic   = regexp.MustCompile(`(?i)\b(?:start\w*|boot\w*|initiali[sz]\w*|init|launch\w*|run|running|setup|application|server|process|service|main|program|worker|command|dependenc\w+|health ?checks?|migrations?)\b.*\b(?:fail\w*|error|abort\w*|exit\w*|crash\w*)|\b(?:fail\w*|could not|cannot|unable)\b.*\b(?:start\w*|boot\w*|initiali[sz]\w*|launch\w*|run|continue|proceed)\b|exit(?:ing|ed|s)?\b|shut\w* down|giving up|gave up|terminat|attempts|retries|npm err|caused by|traceback|not ready`)
	ownReason = regexp.MustCompile(`(?i)\bnil\b|null ?pointer|\bnull\b|\bundefined\b|not defined|(?:is|are|was) not set|must be set|\bunset\b|unknown (?:flag|option|command|field|column|property)|unrecogni[sz]ed|syntax ?error|parse error|parsing|unmarshal|decod|cannot find module|no such file|exec format|index out of range|out of bounds|type ?error|name ?error|key ?error|attribute ?error|value ?error|import ?error|module ?not ?found|class ?not ?found|no such (?:method|class|table|column)|assert|stack overflow|segmentation|out of memory|address already in use|\bis required\b|missing required|required (?:flag|option|variable|environment|property|key|setting)|illegal ?(?:argument|state)|division by zero|divide by zero|overflow|unsupported|deprecated|invalid (?:value|configuration|config|argument|option|flag|port|url|syntax|format)|permission denied`)

	isFrame = regexp.MustCompile(`^(?:at |goroutine \d|File "|\.\.\. \d+ more|from \S+:\d+:in|#\d+ |\S+\.(?:go|rs|py|rb|js|ts|java|kt|php|c|cc|cpp):\d+(?: \+0x[0-9a-f]+)?$|[\w./*()]+\((?:0x[0-9a-f]+|\.\.\.|[,{} ])*\)$|created by )`)
)

// otherAddress reports whether a line names an address beside the pod's own.
func otherAddress(line string) bool {
	endpoint := endpointOf(line)
	return endpoint != "" && !ownAddress.MatchString(endpoint+" ")
}

// endpoints are the ways in which lines name a host, in the order in which they are
// believed. The second group, where there is one, is the port.
var endpoints = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\blookup ([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)`),
	regexp.MustCompile(`(?i)(?:getaddrinfo|enotfound|eai_again)(?: enotfound| eai_again)? ([a-z0-9][a-z0-9.-]*[a-z0-9])(?::(\d{1,5}))?`),
	regexp.MustCompile(`(?i)unknown ?host(?:exception)?:? "?([a-z0-9][a-z0-9.-]*[a-z0-9])`),
	regexp.MustCompile(`(?i)\b(?:host name|server at|host|hostname|server|resolve)\b\s*[=:]?\s*["'(]?([a-z0-9][a-z0-9.-]*[a-z0-9])["')]?(?:.*?\bport\s*[=:]?\s*(\d{1,5}))?`),
	regexp.MustCompile(`(?:^|[\s"'(=/@>,])((?:\d{1,3}\.){3}\d{1,3}):(\d{2,5})\b`),
	regexp.MustCompile(`(\[[0-9a-fA-F:]{3,}\]):(\d{2,5})\b`),
	regexp.MustCompile(`(?i)://(?:[^\s/@"']*@)?([a-z0-9][a-z0-9.-]*[a-z0-9])(?::(\d{1,5}))?`),
	regexp.MustCompile(`(?i)(?:^|[\s"'(=/@>,])([a-z][a-z0-9.-]*[a-z0-9]):(?:(\d{2,5})\b|\[redacted\])`), // password-db:[redacted]
	regexp.MustCompile(`(?i)\b([a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.svc(?:\.[a-z0-9.-]*[a-z0-9])?)\b`),
	regexp.MustCompile(`(?:^|[\s"'(=/@>,])((?:\d{1,3}\.){3}\d{1,3})\b`),
}

// endpointOf returns the host that a line names, with the port where it has one. Of
// `10.1.0.5:41234->10.2.0.9:5432` the far end is meant.
func endpointOf(line string) string {
	if _, far, found := strings.Cut(line, "->"); found {
		if endpoint := endpointOf(far); endpoint != "" {
			return endpoint
		}
	}
	line = client.ReplaceAllString(line, "")
	for _, form := range endpoints {
		if endpoint := byForm(form, line); endpoint != "" {
			return endpoint
		}
	}
	return ""
}

// byForm returns the first host that a line names in one way.
func byForm(form *regexp.Regexp, line string) string {
	for {
		at := form.FindStringSubmatchIndex(line)
		if at == nil {
			return ""
		}
		host := line[at[2]:at[3]]
		switch {
		case isSourceFile(host) || notHosts[strings.ToLower(host)]:
			line = line[at[3]:] // the host may stand after it
			continue
		case len(at) > 4 && at[4] >= 0:
			return host + ":" + line[at[4]:at[5]]
		}
		return host
	}
}

// client matches the address of the program itself, by which a database that refuses it
// calls it.
var client = regexp.MustCompile(`(?i)'@'[^']*'|pg_hba\.conf entry for host "[^"]*"`)

// notHosts are words that follow "host" or "server" in a sentence and name no host.
var notHosts = map[string]bool{
	"is": true, "was": true, "at": true, "not": true, "closed": true, "name": true, "error": true, "failed": true, "for": true, "in": true, "on": true, "to": true,
	"unavailable": true, "unreachable": true, "found": true, "not-found": true, "the": true, "selection": true, "and": true, "has": true, "or": true, "refused": true,
	"connection": true, "failure": true, "down": true, "of": true, "with": true, "by": true, "from": true, "timeout": true, "timed": true, "could": true, "cannot": true, "shutdown": true, "startup": true, "running": true,
}

func isSourceFile(host string) bool {
	return regexSource.MatchString(host)
}

var regexSource = regexp.MustCompile(`\.(?:go|rs|py|rb|js|ts|java|kt|php|cc|cpp|c|sh)$`)

// Words returns the words by which a complaint may be connected with the name of a
// variable or ConfigMap: those of its line, and what its port is usually for. The words by
// which the program itself is called are left out, unless they name a kind of service:
// they are in too many of its names.
func Words(c Complaint, own []string) map[string]bool {
	words := map[string]bool{}
	for _, word := range WordsOf(c.Line) {
		isKind := slices.ContainsFunc(kinds, func(group []string) bool { return slices.Contains(group, word) })
		words[word] = isKind || !slices.Contains(own, word)
	}
	_, port, _ := strings.Cut(c.Endpoint, ":")
	for _, group := range kinds {
		if slices.Contains(group, port) || slices.ContainsFunc(group, func(word string) bool { return words[word] }) {
			for _, word := range group {
				words[word] = true
			}
		}
	}
	return words
}

// kinds of services: their usual ports, and the words in the names of the variables that lead to them.
var kinds = [][]string{
	{"5432", "6432", "postgres", "postgresql", "psycopg2", "pg", "pq", "libpq", "db", "database", "sql", "dsn", "jdbc"},
	{"3306", "mysql", "mariadb", "db", "database", "sql", "dsn", "jdbc"},
	{"1433", "mssql", "sqlserver", "db", "database", "sql", "dsn", "jdbc"},
	{"1521", "oracle", "ora", "db", "database", "sql", "dsn", "jdbc"},
	{"27017", "mongo", "mongodb", "db", "database"},
	{"6379", "redis", "valkey", "cache"},
	{"11211", "memcached", "cache"},
	{"9092", "kafka", "broker", "brokers", "bootstrap"},
	{"5672", "amqp", "rabbit", "rabbitmq", "broker"},
	{"4222", "nats", "broker"},
	{"9200", "elastic", "elasticsearch", "opensearch"},
	{"389", "636", "ldap"},
	{"password", "passwd", "credentials", "user", "username", "login", "authentication", "auth"},
}

// WordsOf splits a name or a line into its words, in lower case: at everything that is
// no letter or digit, and where a small letter meets a capital one.
func WordsOf(text string) []string {
	var words []string
	for _, part := range notWord.Split(camel.ReplaceAllString(text, "$1 $2"), -1) {
		if part = strings.ToLower(part); len(part) > 1 && !fillers[part] {
			words = append(words, part)
		}
	}
	return words
}

var (
	camel   = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	notWord = regexp.MustCompile(`[^A-Za-z0-9]+`)
	// fillers are in too many names and lines to connect any two.
	fillers = map[string]bool{
		"error": true, "fatal": true, "failed": true, "connection": true, "connect": true, "refused": true, "host": true, "port": true, "to": true, "the": true, "of": true,
		"for": true, "app": true, "url": true, "uri": true, "addr": true, "address": true, "endpoint": true, "server": true, "service": true, "svc": true, "tcp": true, "udp": true, "config": true,
		"settings": true, "env": true, "name": true, "key": true, "value": true, "is": true, "at": true, "in": true, "on": true, "no": true, "not": true, "dial": true, "timeout": true,
		"http": true, "https": true, "cluster": true, "local": true, "default": true, "java": true, "net": true, "io": true, "com": true, "org": true, "exception": true,
		"main": true, "level": true, "msg": true, "log": true, "time": true, "ts": true, "etc": true, "data": true, "version": true, "release": true, "could": true, "be": true, "was": true,
	}
)

// Mentions reports whether a value names a host, and not one with a longer name.
func Mentions(value, host string) bool {
	for host != "" {
		before, after, found := strings.Cut(value, host)
		if !found {
			return false
		}
		if !inHost.MatchString(last(before)) && !inHost.MatchString(after[:min(len(after), 1)]) {
			return true
		}
		value = after
	}
	return false
}

// inHost matches a character that can go on a host's name.
var inHost = regexp.MustCompile(`^[\w.-]$`)

func last(text string) string { return text[max(0, len(text)-1):] }
