package redact

import (
	"regexp"
	"strings"
)

const (
	// gap between two words of a command, which may be a list of quoted words.
	gap = `(?:[ \t]+|["'](?:,[ \t]*|[ \t]+)["'])`
)

// command returns a rule for the values of a flag that means a password to some
// commands only; it may stand there more than once.
func command(names, flag string, looks func(string) bool, when ...string) rule {
	return rule{
		program:     regexp.MustCompile(`\b(?:` + names + `)\b`),
		pattern:     regexp.MustCompile(`(` + gap + flag + `)(?P<secret>` + word + `)`),
		replacement: "${1}" + Marker,
		when:        has(when...),
		looks:       looks,
	}
}

// word is a word of a command, in quotes or not; a value in quotes within a list is one.
const word = `"[^"\n]+"|'[^'\n]+'|[^\s"',;|)\]\\]+`

// isWord is true for what may be a password on a command line.
func isWord(s string) bool {
	return !isPlaceholder(strings.Trim(s, `"'`)) && !strings.HasPrefix(s, "-")
}

// isPair is true for a user and a password that a command is given.
func isPair(s string) bool {
	_, password, ok := strings.Cut(strings.Trim(s, `"'`), ":")
	return ok && password != "" && !isPlaceholder(password) && !isPort(s)
}

func isPort(s string) bool { return strings.Trim(s, "0123456789:.") == "" }

// commands are the rules for the arguments of well-known programs and statements.
var commands = []rule{
	command(`mysql|mysqldump|mysqladmin|mysqlimport|mysqlsh|mysqlcheck|mysqlslap|mysqlbinlog|mysqlpump|mariadb(?:-\w+)?|xtrabackup|mydumper|myloader|7za?|mongo(?:sh|dump|restore|export|import|stat|top)?|sshpass|unrar|rar`,
		`-p`, isWord, "mysql", "mariadb", "xtrabackup", "mydumper", "myloader", "7z", "mongo", "sshpass", "rar "),
	command(`sshpass|mongo(?:sh|dump|restore|export|import|stat|top)?|(?:docker|podman|nerdctl|buildah|skopeo|oc|az|crane|oras|cf|faas-cli|argocd|registry|acr)["', \t]+login|rabbitmqadmin|cqlsh|nodetool|couchbase-cli|arangosh`,
		`-p`+gap, isWord, "sshpass", "mongo", " login", "\"login", "rabbitmqadmin", "cqlsh", "nodetool", "couchbase", "arangosh"),
	command(`redis-cli|redis-benchmark|valkey-cli|keydb-cli`, `-a`+gap+`?`, isWord, "redis", "valkey", "keydb"),
	command(`curl|etcdctl|wget|siege|nats|influx|http|https|xh|ab|rabbitmqadmin|svn|elasticdump|wrk|hey`,
		`(?:-u|-U|-a|-A|--user|--proxy-user|--userpwd|--auth|--creds|--login)(?:`+gap+`|=)?`, isPair, "curl", "etcdctl", "wget", "siege", "nats ", "influx", "http ", "https ", "xh ", "ab ", "rabbitmqadmin", "svn ", "elasticdump", "wrk ", "hey "),
	command(`ldap(?:search|modify|add|delete|whoami|passwd|compare)`, `-w`+gap+`?`, isWord, "ldap"),
	command(`sqlcmd|bcp|mosquitto_(?:pub|sub|rr)|zip|unzip|ipmitool|isql|tsql|pymssql`, `-P`+gap+`?`, isWord, "sqlcmd", "bcp ", "mosquitto", "zip ", "ipmitool", "isql", "tsql"), //nolint:misspell // the programs of the broker Mosquitto are named so
	command(`snmp(?:walk|get|set|bulkwalk|trap|table)`, `-[AXc]`+gap, isWord, "snmp"),
	command(`openssl`, `-(?:k|K)`+gap, isWord, "openssl"),
	command(`keytool|jarsigner`, `-(?:storepass|keypass|srcstorepass|deststorepass|new)`+gap, isWord, "keytool", "jarsigner"),
	command(`rabbitmqctl`, `(?:add_user|change_password|authenticate_user)`+gap+`[\w.@-]+`+gap, isWord, "rabbitmqctl"),
	command(`vault`, `(?:login|unseal|unwrap)`+gap, isOpaque, "vault"),
	command(`smbclient|rpcclient|smbmap|mount\.cifs|net`, `(?:-U|--user)(?:`+gap+`|=)?["']?[\w.\\/@-]+%`, isWord, "smbclient", "smbmap", "rpcclient", "mount.cifs", "net "),
	command(`net[ \t]+use`, `\\\\[^\s"']+[ \t]+`, func(s string) bool { return isWord(s) && s[0] != '/' }, "net use"),
	command(`lftp|ncftp`, `(?:-u|--user)(?:`+gap+`|=)?["']?[\w.@-]+,`, isWord, "lftp", "ncftp"),
	command(`xfreerdp|wlfreerdp`, `/p:`, isWord, "freerdp"),
	command(`kubectl["', \t]+create["', \t]+secret`, `--from-literal(?:=|`+gap+`)[\w.-]+=`, isWord, "from-literal"),
	command(`mc["', \t]+(?:alias["', \t]+set|config["', \t]+host["', \t]+add)`, `[\w.-]+`+gap+`https?://[^\s"']+`+gap+`[^\s"']+`+gap, isWord, "mc alias", "mc config", "alias\", \"set", "alias\",\"set"),
	command(`htpasswd`, `-\w*b\w*`+gap+`[^\s"']+`+gap+`(?:[^\s"']+`+gap+`)?`, isWord, "htpasswd"),
	command(`sqlplus|rman|expdp|impdp|exp|imp|sqlldr`, `["']?[\w$#]+/`, isWord, "sqlplus", "rman ", "expdp", "impdp", "exp ", "imp ", "sqlldr"),
	command(`sp_password`, `N?`, isQuoted, "sp_password"),
	command(`(?:ACL|acl)["', \t]+(?:SETUSER|setuser)["', \t]+[\w.-]+|user[ \t]+[\w.-]+[ \t]+(?:on|off)`, `>`, func(s string) bool { return isWord(s) && !isNumber(s) }, "setuser", " on ", " off "),
	{ // flags of any command
		pattern:     regexp.MustCompile(`((?:^|[\s"'])(?:-u|-U|--user|--proxy-user|--auth|--creds|--userpass)(?:` + gap + `|=))(?P<secret>[\w.@-]+:[^\s"'|;]+)`),
		replacement: "${1}" + Marker,
		when:        both(has("-u", "--auth", "--creds", "--proxy-user"), has(":")),
		looks: func(s string) bool {
			_, password, _ := strings.Cut(s, ":")
			return isOpaque(password) && !strings.HasPrefix(password, "//")
		},
	},
	{
		pattern:     regexp.MustCompile(`(\becho(?:[ \t]+-\w+)?[ \t]+)(?P<secret>"[^"\n]+"|'[^'\n]+'|[^\s|]+)([ \t]*\|[^|\n]*(?:password-stdin|chpasswd|\bpasswd\b|sudo[ \t]+-S|with-token|--stdin|-passin))`),
		replacement: "${1}" + Marker + "${3}",
		when:        has("echo"),
		looks:       isWord,
	},
	{ // SQL
		pattern:     regexp.MustCompile(`(?i)(\bidentified[ \t]+(?:with[ \t]+[\w"']+[ \t]+)?(?:by|as)[ \t]+(?:password[ \t]+)?|\bwith[ \t]+(?:encrypted[ \t]+)?password[ \t]+|\b(?:alter|create)[ \t]+(?:user|role|login)\b.{0,200}?\bpassword[ \t]*(?:=[ \t]*)?N?|\bpassword\(|\bset[ \t]+password[ \t]+for[ \t]+[^=\n]{1,100}?(?:=|[ \t]to)[ \t]*(?:password\()?|\boptions[ \t]*\([^)\n]{0,200}?\bpassword[ \t]+|\bsp_addlogin[ \t]+[^,\n]{1,60},[ \t]*N?)(?P<secret>` + value + `)`),
		replacement: "${1}" + Marker,
		when:        has("identified", "with password", "encrypted password", "alter ", "create ", "password(", "set password", "options", "sp_addlogin"),
		looks:       func(s string) bool { return isQuoted(s) || isOpaque(s) },
	},
	{ // SQL of Oracle, without quotes
		pattern:     regexp.MustCompile(`(?i)(\b(?:(?:create|alter)[ \t]+(?:user|role|login)|connect[ \t]+to|grant\b[^\n]{1,200}?[ \t]to)[ \t]+["\w$#.]+[ \t]+identified[ \t]+by[ \t]+)(?P<secret>` + word + `)`),
		replacement: "${1}" + Marker,
		when:        has("identified"),
		looks:       isDirective,
	},
	{ // directives of configuration files
		pattern:     regexp.MustCompile(`(\b(?:requirepass|masterauth|primaryauth|rootpw|bindpw|insecure-password|auth_pass|auth-pass[ \t]+[\w.-]+)` + gap + `)(?P<secret>` + word + `)`),
		replacement: "${1}" + Marker,
		when:        has("requirepass", "masterauth", "primaryauth", "rootpw", "bindpw", "insecure-password", "auth_pass", "auth-pass"),
		looks:       isDirective,
	},
	{ // a line of a name and a value
		pattern:     regexp.MustCompile(`(?i)^([ \t]*[a-z][\w.-]*[_.-](?:password|passwd|passphrase|pwd|pass|pw)[ \t]+)(?P<secret>[^\s"';:=][^\s"';]*)[ \t]*;?$`),
		replacement: "${1}" + Marker,
		when:        has("pass", "pwd", "pw"),
		looks:       func(s string) bool { return isOpaque(s) || isChosen(s) },
	},
	{ // AUTH of Redis, as sent and as MONITOR prints it
		pattern:     regexp.MustCompile(`((?:^|[\s"'])AUTH` + gap + `(?:(?:default|` + mechanisms + `)` + gap + `)?)(?P<secret>` + word + `)`),
		replacement: "${1}" + Marker,
		when:        has("auth ", "auth\""),
		looks:       func(s string) bool { return isUnquotedSecret(s) && !mechanism.MatchString(s) },
	},
	{
		pattern:     regexp.MustCompile(`("AUTH"[ \t,]+(?:"[^"\n]*"[ \t,]+)?)(?P<secret>"[^"\n]+")([ \t,]*(?:$|\]|"SETNAME"))`),
		replacement: "${1}" + Marker + "${3}",
		when:        has("\"auth\""),
		looks:       isDirective,
	},
	{ // dialogs of mail, files and chat: LOGIN of IMAP, AUTHENTICATE, PASS, IDENTIFY
		pattern:     regexp.MustCompile(`(\b[A-Za-z]{0,4}[0-9]{1,6}[ \t]+LOGIN[ \t]+(?:"[^"\n]+"|\S+)[ \t]+|\bAUTHENTICATE[ \t]+[A-Z][A-Z0-9-]+[ \t]+|(?:C:|>|->|=>|^)[ \t]*PASS[ \t]+|(?i:\bnickserv[ \t]+:?identify[ \t]+))(?P<secret>"[^"\n]+"|[^\s"]+)[ \t]*$`),
		replacement: "${1}" + Marker,
		when:        has("login ", "authenticate ", "pass ", "nickserv"),
		looks:       func(s string) bool { return isQuoted(s) || isUnquotedSecret(s) || isChosen(s) },
	},
	{ // the arguments of a call: connect("jdbc:x", "app", "X")
		pattern:     regexp.MustCompile(`(?i)(\b(?:\w{0,40}connect(?:ion)?|__construct|pdo|mysqli|login|authenticate)\((?:["'][^"'\n]{0,200}["'],[ \t]*){2})(?P<secret>["'][^"'\n]+["'])`),
		replacement: "${1}" + Marker,
		when:        both(has("connect", "__construct", "pdo", "mysqli", "login", "authenticate"), has("(\"", "('")),
		looks:       func(s string) bool { s = strings.Trim(s, `"'`); return isOpaque(s) || isChosen(s) },
	},
	{ // a change that a sentence tells
		pattern:     regexp.MustCompile(`(?i)(\bpass(?:word|wd|phrase)[ ](?:(?:was|is|has been|(?:for|of)(?: user)? [^\s]{1,60})[ ]){0,2}(?:changed|updated|reset|rotated|modified)[ ]from[ ])(?:"[^"\n]+"|'[^'\n]+')([ ]to[ ])(?:"[^"\n]+"|'[^'\n]+')`),
		replacement: "${1}" + Marker + "${2}" + Marker,
		when:        both(has("pass"), has(" from ")),
	},
	{ // a one-time code under a name that other codes have, on a line about such codes
		pattern:     regexp.MustCompile(`(?i)((?:\b|_)(?:[th]?otp|2fa|mfa|two-factor|one-time|verification|sms)(?:\b|_)[^\n]{0,80}?[=:,;({&][^\s=:]*[ \t]*["']?code["']?[ \t]*[:=][ \t]*["']?)(?P<secret>[0-9]{6,8})\b`),
		replacement: "${1}" + Marker,
		when:        both(has("code"), has("otp", "2fa", "mfa", "two-factor", "one-time", "verification", "sms")),
		looks:       isCode,
	},
	{ // one of several keys
		pattern:     regexp.MustCompile(`(?i)(\b(?:unseal|recovery|backup|api|access|secret)[ _-](?:key|code)[ #]{1,2}[0-9]{1,2}\)?[ \t]*[:=][ \t]*)(?P<secret>[^\s,;"']+)`),
		replacement: "${1}" + Marker,
		when:        has("key ", "code "),
		looks:       isOpaque,
	},
	{ // users of Postfix
		pattern:     regexp.MustCompile(`(\[[\w-]+\.[\w.-]+\]:[0-9]+[ \t]+[\w.@-]+:)(?P<secret>[^\s:]+)[ \t]*$`),
		replacement: "${1}" + Marker,
		when:        has("]:"),
		looks:       isOpaque,
	},
	{ // a user and a password of ZooKeeper, of HAProxy
		pattern:     regexp.MustCompile(`(?i)(\b(?:addauth[ \t]+digest|stats[ \t]+auth|setacl[ \t]+\S+[ \t]+(?:digest|auth):)[ \t]*)(?P<secret>[\w.@-]+:[^\s"']+)`),
		replacement: "${1}" + Marker,
		when:        has("addauth", "stats auth", "setacl"),
		looks:       isPair,
	},
	{ // .netrc
		pattern:     regexp.MustCompile(`(\b(?:machine[ \t]+\S+|default)[ \t]+login[ \t]+\S+[ \t]+password[ \t]+|^[ \t]*password[ \t]+)(?P<secret>\S+)([ \t]*$|[ \t]+(?:machine|account|macdef))`),
		replacement: "${1}" + Marker + "${3}",
		when:        has("password ", "password\t"),
		looks:       func(s string) bool { return isWord(s) && !said[strings.ToLower(s)] },
	},
	{ // a user and a password side by side
		pattern:     regexp.MustCompile(`(?i)(\b(?:credentials?|creds|logins?|log(?:ged)? in|basic[ _-]?auth|user(?:name)?[:/]pass(?:word)?|authenticat\w+|connect(?:ing|ed)? as)` + quote + `(?:[ \t]+(?:as|with|using|are|is|for))?(?:[ \t]*[:=]|[ \t])[ \t]*["'(]?)(?P<secret>[\w.@-]+[:/][^\s"'|;,)]+)`),
		replacement: "${1}" + Marker,
		when:        has("credential", "creds", "login", "log in", "logged in", "basic", "user/pass", "user:pass", "username/pass", "username:pass", "authenticat", "connecting as", "connected as", "connect as"),
		looks:       isLogin,
	},
}

// mechanisms of SASL.
const mechanisms = `PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|EXTERNAL|XOAUTH2|OAUTHBEARER|SCRAM-[A-Z0-9-]+`

var mechanism = regexp.MustCompile(`^(?:` + mechanisms + `)$`)

// isDirective is true for the value of a directive that holds a password, and not
// for the words of a message about it.
func isDirective(s string) bool {
	return isWord(s) && (isQuoted(s) || !said[strings.ToLower(strings.TrimRight(s, ".,:;"))])
}

func isUnquotedSecret(s string) bool { return isOpaque(strings.Trim(s, `"')`)) }

func isQuoted(s string) bool { return len(s) > 2 && (s[0] == '\'' || s[0] == '"') }

// isLogin is true for user:password and user/password where a machine or a person
// chose the password, and not for a path, a host or an object.
func isLogin(s string) bool {
	at := strings.IndexAny(s, ":/")
	password := strings.TrimRight(s[at+1:], ".")
	return isOpaque(password) && !isObjectName(s) && !strings.Contains(password, "/") && !isPort(password) && !address.MatchString(s)
}

// tags are the rules for XML.
var tags = []tag{
	{has("</"), regexp.MustCompile(`<([\w.:-]{2,100})(?:\s[^<>]{0,300})?>(?:<!\[CDATA\[)?([^<>\]]+)(?:\]\]>)?</`)},
	{has("alue=", "val="), regexp.MustCompile(`(?i)<(?:\w+:)?(?:add|property|param|parameter|setting|entry|attribute|variable|env|init-param|data)\b[^<>]{0,200}?\b(?:name|key|id)=["']([^"'<>]{2,100})["'][^<>]{0,200}?\b(?:value|val)=["']([^"'<>]+)["']`)},
	{has("name=", "key=", "id="), regexp.MustCompile(`(?i)<(?:\w+:)?(?:property|param|parameter|setting|entry|attribute|variable|env|string)\b[^<>]{0,200}?\b(?:name|key|id)=["']([^"'<>]{2,100})["'][^<>]{0,200}>([^<>]+)</`)},
	{has("</key>", "name>"), regexp.MustCompile(`(?i)<(?:key|name|param-name)>([^<>]{2,100})</(?:key|name|param-name)>\s*<(?:string|value|data|param-value)>([^<>]+)</`)},
}

// dumps are the rules for names and values whose quotes are encoded, and for what
// some languages print.
var dumps = []tag{
	{has("u0022", "&quot;", "&#34;", "%22"), regexp.MustCompile(`(?i)(?:\\+u0022|&quot;|&#34;|%22|\b)([\w.-]{2,100})(?:\\+u0022|&quot;|&#34;|%22)(?:\s|%20|\+)*(?::|=|%3A|%3D)(?:\s|%20|\+)*(?:\\+u0022|&quot;|&#34;|%22)([^"\n]*?)(?:\\+u0022|&quot;|&#34;|%22)`)},
	{has("&lt;"), regexp.MustCompile(`(?i)&lt;([\w.:-]{2,100})&gt;([^<>\n]{1,400}?)&lt;/`)},
	// what validation says about a field, and parsers of flags about a flag
	{has(" value: "), regexp.MustCompile(`([A-Za-z][\w.-]{1,100})(?:\[[^\]\n]{0,60}\])?["']?:[ ]*(?:Invalid|Unsupported|Duplicate)[ ]value:[ ]*["']([^"'\n]+)["']`)},
	{both(has("invalid"), has("for ")), regexp.MustCompile(`invalid (?:\w+ )?(?:value|argument):? ["'](?P<value>[^"\n]+?)["'] for (?:flag |option |field |parameter |variable )?["']?(?:-\w, )?-{0,2}(?P<name>[A-Za-z][\w.-]{1,100})`)},
	{has("..."), regexp.MustCompile(`([A-Za-z][\w-]{2,60}?)\.{3,}[ ]?([^\s.,;"']+)`)},
	{both(has("{", "("), has(",\"", ", \"", ",'", ", '", "<<\"")), regexp.MustCompile(`[{(]['":]?([A-Za-z][\w-]{2,60})['"]?,[ \t]*(?:<<)?["']([^"'\n]+)["']`)},
}

// tag finds a name and the value that stands between tags or in attributes.
type tag struct {
	when    func(string) bool
	pattern *regexp.Regexp
}

func (t tag) apply(s string) string {
	if !t.when(s) {
		return s
	}
	return replaceNamed(t.pattern, s)
}

// replaceNamed replaces the second submatch where the first one is the name of a
// secret; the submatches name and value may have another order.
func replaceNamed(pattern *regexp.Regexp, s string) string {
	var out strings.Builder
	from := 0
	n, v := 2, 4
	if pattern.SubexpIndex("name") == 2 {
		n, v = 4, 2
	}
	for _, at := range pattern.FindAllStringSubmatchIndex(s, -1) {
		f := found{name: judgeName(s[at[n]:at[n+1]]), value: strings.Trim(s[at[v]:at[v+1]], " \t\"'`\\"), quoted: true}
		if !f.secret() {
			continue
		}
		out.WriteString(s[from:at[v]])
		out.WriteString(Marker)
		from = at[v+1]
		if strings.HasPrefix(s[from:], "]") && strings.HasSuffix(s[:from], strings.TrimSuffix(Marker, "]")) {
			from++ // the pattern took the end of a marker for that of the value
		}
	}
	out.WriteString(s[from:])
	return out.String()
}
