package redact

import (
	"regexp"
	"strings"
)

// issued are the shapes that issuers gave their tokens so that they can be found in
// texts. Each begins with a word of issuedStarts and has 16 characters of a token in a row.
const issued = `\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b(?:[\s:,/|]{1,3}[A-Za-z0-9+/]{40}\b)?` +
	`|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bgl(?:pat|rt|dt|cbt|ptt|soat|ft|imt|agent|ffct|oas)-[A-Za-z0-9_.-]{16,}|\bGR1348941[A-Za-z0-9_-]{16,}` +
	`|\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{16,}|\bGOCSPX-[A-Za-z0-9_-]{16,}|\b1//0[A-Za-z0-9_-]{20,}` +
	`|\b[rs]k_(?:live|test)_[0-9A-Za-z]{10,}|\bwhsec_[0-9A-Za-z+/=]{10,}` +
	`|\bnpm_[A-Za-z0-9]{30,}|\bdo[opr]_v1_[a-f0-9]{32,}` +
	`|\bhv[sbr]\.[A-Za-z0-9_-]{20,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}` +
	`|\bsha256~[A-Za-z0-9_-]{40,}|\bglsa_[A-Za-z0-9_]{20,}|\bglc_[A-Za-z0-9+/=]{20,}|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}` +
	`|\bNR(?:AK|II|JS|RA|IQ)-[A-Za-z0-9_-]{16,}|\b[0-9A-Za-z]{20,40}NRAL\b` +
	`|\bshp(?:at|ca|pa|ss|tka)_[a-fA-F0-9]{32}|\bsq0(?:atp|csp|idp)-[A-Za-z0-9_-]{20,}|\bEAA[A-Za-z0-9]{40,}` +
	`|\bdapi[0-9a-f]{32}|\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}|\bdp\.(?:pt|st|sa|ct|scim|audit)\.[A-Za-z0-9._-]{30,}` +
	`|\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}|\bAT(?:ATT|CTT|BB)[A-Za-z0-9_=-]{20,}|\bsntry[us]_[A-Za-z0-9+/=_-]{20,}` +
	`|\blin_(?:api|oauth)_[A-Za-z0-9]{20,}|\bsecret_[A-Za-z0-9]{40,}|\bntn_[A-Za-z0-9]{30,}|\bPMAK-[A-Za-z0-9-]{30,}|\bpul-[0-9a-f]{40}` +
	`|\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{20,}|\brubygems_[0-9a-f]{40,}|\bsb(?:p|_secret)_[A-Za-z0-9_]{20,}` +
	`|\bdt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{60,}|\b(?:bkua|nfp|figd|tfp|aio|gsk|CCIPAT|fm2|CFPAT|xai|pplx|rpa|lsv2_pt|lsv2_sk|r8|ops|fo1|fm1r|hcaik)[_-][A-Za-z0-9_/+=-]{20,}` +
	`|\bLTAI[A-Za-z0-9]{12,}|\bAKID[A-Za-z0-9]{13,}|\btskey-[a-z]+-[A-Za-z0-9-]{8,}|\bHRKU-[A-Za-z0-9_-]{30,}` +
	`|\b(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9+/=%_-]+|\b[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{30,}` +
	`|\beyJrIjoi[A-Za-z0-9+/=_-]{20,}|\bs\.[A-Za-z0-9]{24}\b`

// hexKeys are keys, and passwords that PostgreSQL hashed, in hexadecimal with a
// short prefix or suffix.
const hexKeys = `\bSK[0-9a-f]{32}\b|\bkey-[0-9a-f]{32}\b|\b[0-9a-f]{32}-us[0-9]{1,2}\b|\bmd5[0-9a-f]{32}\b`

// long tokens begin with nothing in particular.
const long = `\b[0-9]{8,10}:[A-Za-z0-9_-]{34,36}|\bAAAA[A-Za-z0-9_-]{7}:[A-Za-z0-9_-]{60,}|\bAQV[A-Za-z0-9_-]{35,}`

var issuedStarts = has("akia", "asia", "abia", "acca", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "gr1348941",
	"glpat-", "glrt-", "gldt-", "glcbt-", "glptt-", "glsoat-", "glft-", "glimt-", "glagent-", "glffct-", "gloas-",
	"aiza", " s.", "(s.", "=s.", "\"s.", ":s.", "ya29.", "gocspx-", "1//0", "k_live_", "k_test_",
	"whsec_", "npm_", "_v1_", "hvs.", "hvb.", "hvr.", "sg.", "sha256~", "glsa_", "glc_", "age-secret-key-",
	"nrak-", "nrii-", "nrjs-", "nrra-", "nriq-", "nral", "shp", "sq0", "eaa", "dapi", ".atlasv1.", "dp.pt", "dp.st", "dp.sa", "dp.ct", "dp.scim", "dp.audit", "dckr_",
	"atatt", "atctt", "atbb", "sntry", "lin_", "secret_", "ntn_", "pmak-", "pul-", "pscale_", "rubygems_", "sbp_", "sb_secret_", "dt0",
	"bkua_", "nfp_", "figd_", "tfp_", "aio_", "gsk_", "ccipat_", "fm2_", "cfpat-", "xai-", "pplx-", "rpa_", "lsv2_", "r8_", "ops_", "fo1_", "fm1r_", "hcaik_",
	"ltai", "akid", "tskey-", "hrku-", "fwogzxivyxdz", "iqojb3jpz2lu", "8q~", "eyjrijoi")

// shapes are the rules for what is a secret by its own shape, in the order of their work.
var shapes = []rule{
	{ // a line of a key block whose first line is not here
		pattern:     regexp.MustCompile(`^[ \t]*(?P<secret>[A-Za-z0-9+/]{60,}={0,2})[ \t]*$`),
		replacement: Marker,
		when:        func(s string) bool { return len(s) >= 60 && !strings.ContainsAny(strings.TrimSpace(s), " :.-") },
		looks:       isRandom,
	},
	{
		pattern:     regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}`),
		replacement: Marker,
		when:        has("eyj"),
	},
	{ // a digest: the whole header
		pattern:     regexp.MustCompile(`(?i)(authorization` + quote + `[ \t]*[:=][ \t]*` + quote + `)(?:Digest|OAuth|AWS4-HMAC-SHA256|Signature|Hawk)[ \t][^\n]*?=[^\n]*`),
		replacement: "${1}" + Marker,
		when:        has("authorization"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)(authorization` + quote + `[ \t]*[:=][ \t]*\[?` + quote + `)(?P<secret>(?:[a-z0-9-]+[ \t]+)?[^\s"'\\\]]+)`),
		replacement: "${1}" + Marker,
		when:        has("authorization"),
		looks:       authorizes,
	},
	{
		pattern:     regexp.MustCompile(`(?i)(\b(?:set-)?cookie2?` + quote + `[ \t]*[:=][ \t]*)(?P<secret>[^\n]+)`),
		replacement: "${1}" + Marker,
		when:        has("cookie"),
		looks:       func(s string) bool { return strings.Contains(s, "=") || isOpaque(s) },
	},
	{
		pattern:     regexp.MustCompile(`(?i)\b(bearer|basic|negotiate|apikey|geniekey|splunk|sharedkey|ntlm)([ \t]+|%20|\+)(?P<secret>[A-Za-z0-9._~+/=:-]{6,})`),
		replacement: "${1}${2}" + Marker,
		when:        has("bearer", "basic", "negotiate", "apikey", "geniekey", "splunk", "sharedkey", "ntlm"),
		looks:       isCredentials,
	},
	{
		pattern:     regexp.MustCompile(issued),
		replacement: Marker,
		when:        both(runsOf(16), issuedStarts),
	},
	{
		pattern:     regexp.MustCompile(long),
		replacement: Marker,
		when:        runsOf(34),
	},
	{
		pattern:     regexp.MustCompile(hexKeys),
		replacement: Marker,
		when:        both(runsOf(32), has("sk", "key-", "-us", "md5")),
	},
	{ // a key of PagerDuty, whose name those of brokers have too
		pattern:     regexp.MustCompile(`(?i)(\brouting[_-]?key` + quote + `[ \t]*[:=][ \t]*` + quote + `)(?P<secret>[0-9a-z]{32})\b`),
		replacement: "${1}" + Marker,
		when:        both(runsOf(32), has("routing")),
		looks:       mixed,
	},
	{ // a bot of Discord
		pattern:     regexp.MustCompile(`\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}`),
		replacement: Marker,
		when:        func(lower string) bool { return strings.Count(lower, ".") > 1 && hasRun(lower, 27) },
	},
	{ // tokens whose beginning may also be that of a name
		pattern:     regexp.MustCompile(`\b(?P<secret>(?:xox[abeoprs]|xoxe\.xoxp|xapp|sk|pypi)-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,})`),
		replacement: Marker,
		when:        both(runsOf(16), has("xox", "xapp-", "sk-", "pypi-", "hf_")),
		looks:       minted,
	},
	{ // a bootstrap token of Kubernetes
		pattern:     regexp.MustCompile(`\b[a-z0-9]{6}\.(?P<secret>[a-z0-9]{16})\b`),
		replacement: Marker,
		when:        both(runsOf(16), has(".")),
		looks:       mixed,
	},
	{ // a hashed password
		pattern:     regexp.MustCompile(`(?:\$(?:2[abxy]|1|5|6|7|y|gy|apr1|argon2(?:id|i|d)|pbkdf2[a-z0-9-]*|scrypt)|\{SSHA\}|\{SHA\}|pbkdf2_sha256|SCRAM-SHA-256)\$?[./A-Za-z0-9$=,+:-]{16,}`),
		replacement: Marker,
		when:        has("$", "{ssha}", "{sha}"),
	},
	{
		pattern:     regexp.MustCompile(`(?P<before>[^\s"'=,;<>()\[\]{}]{0,200}?)(?P<secret>[A-Za-z0-9+_-]{40,}={0,2})`),
		replacement: "${before}" + Marker,
		when:        runsOf(40),
		looks:       isRandom,
		inFile:      true,
	},
}

// links are the rules for what URLs carry.
var links = []rule{
	{
		pattern:     regexp.MustCompile(`(?i)` + scheme + `(?P<secret>[^\s/?#"'<>]*)@`),
		replacement: "${1}" + Marker + "@",
		when:        has("://"),
		looks:       isUserinfo,
	},
	{ // a password with a slash in it
		pattern:     regexp.MustCompile(`(?i)` + scheme + `(?P<secret>[^\s:/@"'<>]*:[^\s"'<>]+)@`),
		replacement: "${1}" + Marker + "@",
		when:        has("://"),
		looks:       func(s string) bool { return isUserinfo(s) && !port.MatchString(s) },
	},
	{ // a URL that is encoded
		pattern:     regexp.MustCompile(`(?i)(%3A%2F%2F)([^\s%"']*%3A[^\s&"']+?)(%40)`),
		replacement: "${1}" + Marker + "${3}",
		when:        has("%40"),
	},
	{ // as the MySQL driver of Go writes it
		pattern:     regexp.MustCompile(`[^\s:@/"'=]*:[^\s"']+@((?:tcp|tcp6|udp|unix)\()`),
		replacement: Marker + "@${1}",
		when:        has("@tcp", "@udp", "@unix"),
	},
	{ // the same without an address
		pattern:     regexp.MustCompile(`(^|[\s"'=(])[\w.-]+:(?P<secret>[^\s"'@/]+)(@/\w)`),
		replacement: "${1}" + Marker + "${3}",
		when:        has("@/"),
		looks:       func(s string) bool { return isOpaque(s) || isChosen(s) },
	},
	{ // as the thin driver of Oracle writes it
		pattern:     regexp.MustCompile(`(?i)(\bjdbc:oracle:(?:thin|oci8?):)[^\s/@"']+/[^\s"']+@`),
		replacement: "${1}" + Marker + "@",
		when:        has("jdbc:oracle"),
	},
	{ // without a scheme
		pattern:     regexp.MustCompile(`(^|[\s"'=(\[,])([A-Za-z][\w.-]*:)(?P<secret>[^\s:/"'=]+)@([A-Za-z0-9][\w.-]*)`),
		replacement: "${1}" + Marker + "@${4}",
		when:        func(s string) bool { return strings.Contains(s, "@") && !strings.Contains(s, "@sha256") },
		looks:       func(s string) bool { return isOpaque(s) && !versionLike.MatchString(s) },
	},
	{ // as clients of Oracle take it
		pattern:     regexp.MustCompile(`(^|[\s"'=(\[,])([A-Za-z][\w$#]*/)(?P<secret>[^\s/"'=]+)@([A-Za-z][\w.-]*)`),
		replacement: "${1}${2}" + Marker + "@${4}",
		when:        has("@"),
		looks:       func(s string) bool { return isOpaque(s) && (isRandom(s) || strings.ContainsAny(s, "@!#$%^&*")) },
	},
	{ // the same with an address that only Oracle has
		pattern:     regexp.MustCompile(`(^|[\s"'=(\[,])([A-Za-z][\w$#]*/)(?P<secret>[^\s/"'=@]+)(@(?://[\w\[]|[A-Za-z0-9][\w.-]*:15[0-9]{2}/))`),
		replacement: "${1}${2}" + Marker + "${4}",
		when:        has("@//", ":15"),
		looks:       func(s string) bool { return !isPlaceholder(s) },
	},
	{ // .pgpass
		pattern:     regexp.MustCompile(`(^|[\s"'=])([\w.*-]+:(?:[0-9]{2,5}|\*):[\w*-]+:[\w*-]+:)(?P<secret>[^\s:]+)$`),
		replacement: "${1}${2}" + Marker,
		when:        func(s string) bool { return strings.Count(s[strings.LastIndexAny(s, " \t\"'=")+1:], ":") == 4 },
		looks:       func(s string) bool { return isOpaque(s) || isChosen(s) },
	},
	{
		pattern:     regexp.MustCompile(`(hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_-]+`),
		replacement: "${1}" + Marker,
		when:        has("hooks.slack.com"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)((?:webhook\.office\.com|outlook\.office(?:365)?\.com)/webhookb?2?/)[^\s"'<>]+`),
		replacement: "${1}" + Marker,
		when:        has("office"),
	},
	{ // a token of a bot is its number and what follows it
		pattern:     regexp.MustCompile(`(?i)(/(?:file/)?bot)[0-9]{5,}:[^/\s"'<>?]{6,}`),
		replacement: "${1}" + Marker,
		when:        has("/bot"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)(/api/webhooks/[0-9]{5,}/)[^/\s"'<>?]{6,}`),
		replacement: "${1}" + Marker,
		when:        has("/api/webhooks/"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)((?:maker\.ifttt\.com/trigger/[\w-]+/(?:json/)?with/key|hc-ping\.com|hooks\.zapier\.com/hooks/catch|open\.(?:feishu|larksuite)\.(?:cn|com)/open-apis/bot/v2/hook|webhook\.site|hook\.[a-z0-9.]*make\.com|hooks\.nabu\.casa|api\.opsgenie\.com/v1/json/\w+|infura\.io/v3|alchemy\.com/v2|events\.pagerduty\.com/integration|chat\.googleapis\.com/v1/spaces/[\w-]+/messages/?\?\S*token=|qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=|/v1/input|/inputs|/api/push)[/=]?)[A-Za-z0-9_-][A-Za-z0-9/_%-]{7,}`),
		replacement: "${1}" + Marker,
		when:        has("ifttt", "hc-ping", "zapier", "open-apis/bot", "webhook.site", "make.com", "nabu.casa", "opsgenie", "infura", "alchemy", "pagerduty", "googleapis", "weixin", "/v1/input", "/inputs", "/api/push"),
	},
	{ // a token in the path, behind a word that says so
		pattern:     regexp.MustCompile(`(?i)(/(?:web)?hooks?/|/incomingwebhook/|/callbacks?/|/tokens?/|/apikey/|/key/|/reset-password/|/password-reset/|/reset/|/invite/|/verify/|/magic/|/unsubscribe/|/activate/|/confirm/)(?P<secret>[^\s"'<>?&]{12,})`),
		replacement: "${1}" + Marker,
		when:        has("hook/", "hooks/", "/callback", "/token", "key/", "reset", "/invite/", "/verify/", "/magic/", "/unsubscribe/", "/activate/", "/confirm/"),
		looks:       hasTokenSegment,
	},
	{
		pattern:     regexp.MustCompile(`(?i)([?&](?:sig|key|code|auth|pw|k|t|s|access|api|hash|sas|psk)=)(?P<secret>[^&\s"'<>]+)`),
		replacement: "${1}" + Marker,
		when:        both(has("?", "&"), has("sig=", "key=", "code=", "auth=", "pw=", "k=", "t=", "s=", "access=", "api=", "hash=")),
		looks:       isOpaque,
	},
}

// port is what follows the host of a URL that has a port and no password.
var port = regexp.MustCompile(`^[^:]*:[0-9]{1,5}(?:/|$)`)

// isUserinfo is true for a user and a password of a URL; a plain user is no secret,
// nor is what stands in place of a password.
func isUserinfo(s string) bool {
	user, password, both := strings.Cut(s, ":")
	if !both {
		return user != "" && (len(user) > 16 || !lettersOnly(strings.ReplaceAll(user, "-", "")))
	}
	return password != "" && password != Marker && !isPlaceholder(password)
}

// parameter is what a server asks for (realm="...") or the next field of a log
// (token_type=Bearer expires_in=3600).
var parameter = regexp.MustCompile(`^(?:[a-z_]+=|[A-Za-z_][\w.-]*=[^=].*)$`)

// isCredentials is true for what follows the name of a scheme of HTTP and is no
// word of a sentence ("basic authentication failed").
func isCredentials(s string) bool {
	return !isPlaceholder(s) && !parameter.MatchString(s) && (opaque(s) && !isTime(s) && !isURL(s) && !isObjectName(s) || isObjectName(s) && len(s) >= 32)
}

// authorizes is true for the value of the header Authorization.
func authorizes(s string) bool {
	scheme, value, both := strings.Cut(strings.Join(strings.Fields(s), " "), " ")
	if !both {
		return !isPlaceholder(scheme) && (len(scheme) >= 24 || isOpaque(strings.TrimRight(scheme, ",;")))
	}
	return !isPlaceholder(value) && !said[strings.ToLower(scheme)] && !said[strings.ToLower(value)] || isOpaque(value)
}

// hasTokenSegment is true for a path of which a segment is a token.
func hasTokenSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if len(segment) >= 16 && (isRandom(segment) || isHexRun(segment) || isOpaque(segment)) {
			return true
		}
	}
	return false
}

func isHexRun(s string) bool { return digest.MatchString(s) && !strings.Contains(s, ":") }
