package redact

import (
	"regexp"
	"strings"
	"unicode"
)

// found is a field in a text: its name and value, and how they stand there.
type found struct {
	name  name
	value string
	// rest is what follows the value on its line.
	rest string
	// quoted is true for a value in quotes.
	quoted bool
	// spaced is true where white space follows the separator.
	spaced bool
	// told is true where a sentence says nothing else between name and value.
	told bool
	// failed is true behind a message that the secret could not be read.
	failed bool
	// beside is true for a value in quotes right behind a name without quotes.
	beside bool
	// annotation is true for a name with a domain before it.
	annotation bool
}

// secret judges a value by the kind that its name asks for.
func (f found) secret() bool {
	v := f.value
	if v == "" || f.name.kind == harmless || f.isEmpty() {
		return false
	}
	switch f.name.kind {
	case digitsOnly:
		return isCode(v) || isOpaque(v)
	case generated:
		return isGenerated(v)
	case opaqueOnly:
		return isOpaque(v) || f.name.takes(v) || isDisguised(v)
	}
	return !f.isReference()
}

// isEmpty is true for a value that stands for none.
func (f found) isEmpty() bool {
	return isPlaceholder(f.value) || !f.quoted && (isStructure(f.value) || variable.MatchString(f.value)) || f.isProse()
}

// takes is true for values that are secrets under some names only.
func (n name) takes(v string) bool {
	switch n.noun {
	case "auth", "cred", "credential":
		return isLogin(v)
	case "session":
		return isUUID(v)
	case "otp":
		return isCode(v)
	}
	return false
}

// isReference is true for a value that names or counts something and is no secret
// itself.
func (f found) isReference() bool {
	v := f.value
	if isPassword(f.name.noun) {
		return f.name.noun == "pwd" && strings.HasPrefix(v, "/") || isCall(v) || len(v) <= 2 && isNumber(v)
	}
	return len(v) < 7 && isNumber(v) || isMeasure(v) || isPlace(v) || f.isNameOf()
}

// isNameOf is true for values that are names under some names of fields.
func (f found) isNameOf() bool {
	v := f.value
	switch f.name.noun {
	case "secret":
		return f.namesObject()
	case "key":
		return fileName.MatchString(v) || wordyIdentifier.MatchString(v) && judgeName(v).kind == anyValue
	case "pass":
		return len(v) < 4 || v == "file" || testName.MatchString(v)
	case "token":
		return f.name.bare && !f.quoted && len(v) < 3
	}
	return false
}

// namesObject is true for the name of a Secret of Kubernetes.
func (f found) namesObject() bool {
	if f.name.bare {
		return isObjectName(f.value) || len(f.value) <= 4 && isLower(f.value)
	}
	return (f.name.loose || f.annotation) && wordyName.MatchString(f.value)
}

// isPlace is true for what says where a value comes from: a path, a URL or a call.
func isPlace(v string) bool { return isPath(v) || isURL(v) || isCall(v) }

func isPassword(noun string) bool {
	switch noun {
	case "password", "passwd", "passwort", "passphrase", "passcode", "pwd", "passwrd", "pw", "psw", "pswd", "mnemonic":
		return true
	}
	return false
}

// said are words that a message says about a secret; types of programming
// languages are among them.
var said = set("is was are were be been being has have had must may might can cannot could should would will shall does do did not no nor never none nil null undefined " +
	"true false yes ok on off enabled disabled required optional missing invalid valid expired revoked rejected refused denied accepted unknown unset empty absent " +
	"wrong incorrect mismatch mismatched failed failure error failing succeeded success ready unavailable available unauthorized forbidden permission access " +
	"authentication authorization verification validation found exists exist too already still cannot couldn't can't doesn't don't didn't isn't wasn't won't " +
	"the a an this that these those any some each every of for from by in into at to with without and or but if when while because until after before during " +
	"please use using used provide provided set unset reset changed updated created deleted rotated removed added contains contained malformed unexpected expected want wanted got " +
	"unsupported unreadable unable context timeout connection dial open read write lookup x509 tls redacted hidden masked filtered omitted sensitive confidential " +
	"string str int integer bool boolean bytes byte object array number any interface never void char varchar text optional uuid " +
	"signature issuer audience claim claims header field fields value values user client server service request response pod secret secrets key keys token tokens password passwords " +
	"configured loaded loading mounted synced syncing referenced matches matched changing waiting pending retrying skipping skipped ignored deprecated anonymous n/a na tbd pass passed fail")

// weak words of those begin a message only if more words follow.
var alsoValues = set("secret password pass user client server test text string token key admin root access service sensitive confidential")

// linking words stand in sentences and not in passphrases.
var linking = set("is was are were be been has have must may can cannot could should will does did not no the a an of for from by in at to with without and or if when because until after before during found failed required")

// isProse is true where a message goes on after a name: "token: expired".
func (f found) isProse() bool {
	first, more, _ := strings.Cut(f.value, " ")
	if f.isReport(first) {
		return true
	}
	word := strings.ToLower(strings.TrimRight(first, ".,;:!?)"))
	switch {
	case f.quoted:
		return said[word] && (more != "" || !alsoValues[word])
	case !f.spaced:
		return said[word] && !alsoValues[word]
	case said[word]:
		return !alsoValues[word] || strings.TrimSpace(f.rest) != ""
	}
	return lettersOnly(word) && f.beginsSentence(first)
}

// libraries name themselves in the errors that they return.
var libraries = set("asn1: x509: pkcs1: pkcs5: pkcs7: pkcs8: pkcs12: oauth2: http2: base32: base64: utf8: ed25519: x25519: p256: p384: p521: " +
	"secp256k1: sha1: sha256: sha512: md5: argon2: pbkdf2: aes128: aes256: yaml: json: toml: jwt: jose: hex: http: rpc: grpc: tls: ssm: sts: kms: googleapi: k8s: s3: ec2: sts2:")

// beginsSentence is true for a word that others of a sentence follow.
func (f found) beginsSentence(first string) bool {
	return isSentence(f.rest) || !isPassword(f.name.noun) && isLower(first) && goesOn(f.rest)
}

// goesOn is true where a word follows: tokens are no words of a sentence.
func goesOn(rest string) bool {
	next := strings.Fields(cutTo(rest, 40))
	return len(next) > 0 && lettersOnly(strings.ReplaceAll(strings.TrimRight(next[0], ".,:;"), "-", ""))
}

// isSentence is true where one of the next words is none of a passphrase.
func isSentence(rest string) bool {
	for i, next := range strings.Fields(cutTo(rest, 80)) {
		if i == 5 || strings.ContainsAny(next, "=:") {
			return false
		}
		if linking[next] {
			return true
		}
	}
	return false
}

func cutTo(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// isPlaceholder is true for what stands where a secret would be.
func isPlaceholder(v string) bool {
	if v == "" {
		return true
	}
	switch v[0] {
	case '$', '%', '{', '(', '@':
		return placeholder.MatchString(v)
	case '<':
		return strings.HasPrefix(v, "<set to the key") || strings.HasSuffix(v, ">") && !strings.ContainsAny(v[1:len(v)-1], "<>")
	}
	if strings.Trim(v, "*") == "" || strings.Trim(v, "xX") == "" || strings.Trim(v, "~.-_#?|>+&\\•…/") == "" {
		return true
	}
	switch strings.ToLower(strings.Trim(v, "[]()<>*")) {
	case "nil", "null", "none", "undefined", "true", "false", "yes", "no", "redacted", "filtered", "masked", "hidden", "changeit-placeholder", "n/a", "":
		return true
	}
	return strings.HasPrefix(v, Marker) || reference.MatchString(v)
}

// isStructure is true for the beginning of an object, which is no value itself.
func isStructure(v string) bool {
	return v == "{" || v == "&{" || (v[0] == '{' || strings.HasPrefix(v, "&{")) && strings.Contains(v, ":")
}

var (
	placeholder = regexp.MustCompile(`^(?:\$\{[^}]*\}?|\$\([^)]*\)?|\$[A-Za-z_][A-Z0-9_a-z]*|%[a-z+#]{1,2}|%\(\w+\)s?|%\{\w*\}?|\{\{.*|\{|\(.*|@Microsoft\.KeyVault.*)$`)
	reference   = regexp.MustCompile(`^(?:(?:Option|Maybe|List|Seq|Set|Array|Either|Union)(?:\[[A-Za-z]+)+[\],?]*$|(?:\]|\*)(?:byte|string|rune|uint8)$|Secret(?:Str|String|Bytes)\]?$|![A-Z][a-z]+[A-Za-z:]*$|!(?:vault|reference|secret|env|env_var)$|ENC[\[(]|arn:aws[\w-]*:|ref\+|vault:secret|vault:kv|op://|secret://|sm://|projects/[\w-]+/secrets/|azurekms://|awskms://|gcpkms://)`)
	call        = regexp.MustCompile(`^(?:[A-Za-z_]\w*\.)*(?:[A-Za-z_]\w*[(]|environ\[|env\[|getenv|process\.env\.|self\.|this\.|config\.[a-z]|args\.|settings\.)`)
	// variable is a reference of Terraform or of GitHub's workflows.
	variable   = regexp.MustCompile(`^(?:(?:var|local|module|each|secrets|vars|inputs)\.[A-Za-z_][\w.-]*|data\.[a-z]\w*\.[a-z]\w*(?:\.\w+)*|\.Values\.[A-Za-z_][\w.]*|random_password\.[a-z_][\w.-]*\.(?:result|bcrypt_hash))$`)
	duration   = regexp.MustCompile(`^-?(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h|d|w))+$`)
	number     = regexp.MustCompile(`^[-+]?[0-9][0-9,._]*(?:/[0-9]+)?(?:[eE][-+]?[0-9]+)?(?:%|[KMGTP]i?B?|[kmgt]b?|m|rpm|qps|/s|/min)?$`)
	clock      = regexp.MustCompile(`^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}.*)?)$`)
	uuid       = regexp.MustCompile(`^(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$`)
	objectName = regexp.MustCompile(`^[a-z0-9]+(?:[-./][a-z0-9]+)+$`)
	// wordyName is the name of an object that people chose.
	wordyName       = regexp.MustCompile(`^[a-z]+[0-9]{0,4}(?:[-./](?:[a-z]+[0-9]{0,4}|[0-9]{1,4}))+$`)
	wordyIdentifier = regexp.MustCompile(`^[A-Za-z]+(?:[-_.][A-Za-z]+)*$`)
	fileName        = regexp.MustCompile(`^[\w.-]+\.(?:crt|key|pem|json|ya?ml|p12|jks|txt|conf|cert|pub|asc|properties|toml|env)$`)
	testName        = regexp.MustCompile(`^(?:Test|Benchmark|Example|Fuzz)[A-Z]`)
	address         = regexp.MustCompile(`^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:[a-z]{2,}|[A-Z]{2,})|[a-z][a-z0-9-]*)(?::[0-9]{1,5})?(?:/[0-9]{1,2})?$`)
	mail            = regexp.MustCompile(`^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$`)
	versionLike     = regexp.MustCompile(`^(?:v?[0-9]+(?:\.[0-9]+)+(?:[-+.][\w.-]+)?|(?:[a-z0-9.-]+/)?v[0-9]+(?:alpha|beta)[0-9]+)$`)
	constant        = regexp.MustCompile(`^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$`)
	digestLike      = regexp.MustCompile(`^(?:sha(?:1|256|512)|md5):`)
	className       = regexp.MustCompile(`^[*&]?(?:[a-z]\w*(?:\.[a-z]\w*)+|[a-z]*v[0-9]+(?:(?:alpha|beta)[0-9]+)?|x509|http2|sha[0-9]+|md5|asn1|utf8|oauth2|pkcs[0-9]+|base64)\.[A-Z]\w*$`)
	windowsID       = regexp.MustCompile(`^S-1-[0-9-]+$`)
	serial          = regexp.MustCompile(`^[A-Z0-9]{4,}(?:-[A-Z0-9]{4,}){2,}$`)
	disguised       = regexp.MustCompile(`[a-z]{2,}[013457][a-z]{2,}`)
	camelWords      = regexp.MustCompile(`^[A-Za-z][a-z]+(?:[A-Z][a-z]+)*[0-9]?$`)
	cacheKey        = regexp.MustCompile(`^[A-Za-z_.-]+(?:[:/|#][\w.@-]*)+$`)
)

func isMeasure(v string) bool  { return isDuration(v) || isTime(v) }
func isNumber(v string) bool   { return number.MatchString(v) }
func isDuration(v string) bool { return duration.MatchString(v) }
func isTime(v string) bool     { return clock.MatchString(v) }
func isUUID(v string) bool     { return uuid.MatchString(v) }
func isCall(v string) bool     { return call.MatchString(v) }
func isURL(v string) bool {
	at := strings.Index(v, "://")
	return at > 0 && at < 24
}
func isObjectName(v string) bool {
	return objectName.MatchString(v)
}

func isLower(v string) bool { return lettersOnly(v) && strings.ToLower(v) == v }

// isCode is true for the digits of a one-time code or a PIN.
func isCode(v string) bool {
	return len(v) >= 4 && len(v) <= 8 && strings.Trim(v, "0123456789") == ""
}

// isPath is true for the path of a file; secrets in base64 that begin with a
// slash have segments that are no words.
func isPath(v string) bool {
	v = strings.ReplaceAll(v, Marker, "/") // a path stays one when a part of it was redacted
	if !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "./") && !strings.HasPrefix(v, "~/") && !strings.HasPrefix(v, "../") {
		return len(v) > 3 && v[1] == ':' && v[2] == '\\'
	}
	for segment := range strings.SplitSeq(v, "/") {
		if len(segment) >= 12 && isRandom(segment) {
			return false
		}
	}
	return strings.Count(v, "/") > 1 || len(v) < 16
}

// isOpaque is true for what is no word, name, number, time, address or path.
func isOpaque(v string) bool { return isMixed(v) && !isIdentifier(v) }

// isMixed is true for letters together with digits or signs, which are no number,
// time or path.
func isMixed(v string) bool {
	v = strings.ReplaceAll(v, Marker, "") // what was redacted in it before says nothing
	letters, numbers, special := classes(v)
	if len(v) < 6 || !letters || !numbers && !special {
		return false
	}
	return !isNumber(v) && !isMeasure(v) && !isPlace(v)
}

// isIdentifier is true for what names an object, a version, a host or a digest.
func isIdentifier(v string) bool {
	return matchesAny(v, identifiers) || strings.ContainsAny(v, ".:") && address.MatchString(v) ||
		strings.ContainsAny(v, ":/|#") && cacheKey.MatchString(v) && !isRandom(v)
}

func matchesAny(v string, shapes []*regexp.Regexp) bool {
	for _, shape := range shapes {
		if shape.MatchString(v) {
			return true
		}
	}
	return false
}

var identifiers = []*regexp.Regexp{uuid, objectName, digestLike, mail, versionLike, constant, className, windowsID}

// isChosen is true for what a person may have chosen as a password, such as
// b0b-77-x; only the names of objects that are made of words are none.
func isChosen(v string) bool {
	switch {
	case !isMixed(v) || matchesAny(v, chosenNames):
		return false
	case strings.ContainsAny(v, ".:/"):
		return !address.MatchString(v) && (!cacheKey.MatchString(v) || isRandom(v))
	}
	return true
}

var chosenNames = []*regexp.Regexp{uuid, wordyName, digestLike, mail, versionLike, constant, className}

// isDisguised is true for words of which digits replace letters: sc0pe-7.
func isDisguised(v string) bool { return objectName.MatchString(v) && disguised.MatchString(v) }

func classes(v string) (letters, numbers, special bool) {
	for _, r := range v {
		switch {
		case unicode.IsLetter(r):
			letters = true
		case unicode.IsDigit(r):
			numbers = true
		case strings.ContainsRune("!@#$%^&*+=~?|<>", r):
			special = true
		}
	}
	return letters, numbers, special
}

// isGenerated is true for what a machine generated and is no hash or identifier.
func isGenerated(v string) bool {
	return len(v) >= 16 && isOpaque(v) && (isRandom(v) || strings.HasSuffix(v, "="))
}

// isRandom is true for small and capital letters and digits that change often;
// digests in hexadecimal and names in camel case are not.
func isRandom(v string) bool {
	small, capital, digit := false, false, false
	last, changes := 0, 0
	for _, c := range []byte(v) {
		now := 0
		switch {
		case isUpper(c):
			now, capital = 1, true
		case isLetter(c):
			now, small = 2, true
		case isDigit(c):
			now, digit = 3, true
		default:
			continue
		}
		if now != last {
			changes++
		}
		last = now
	}
	return small && capital && digit && changes*10 >= len(v)*3
}
