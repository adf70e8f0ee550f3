package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// explained adds what to do next to the errors that a new user meets first.
func explained(err error) error {
	var unsent *url.Error
	var garbled *json.SyntaxError
	var denied *deniedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return err // explained before
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case meta.IsNoMatchError(err):
		return errors.New("this cluster does not know Kubernaut's kinds: is Kubernaut installed? `kubectl apply -k config/default` " +
			"installs it; `kubectl config current-context` says which cluster this is, and --context chooses another")
	case errors.As(err, &unsent):
		return fmt.Errorf("the API server %s: %s", silence(unsent), another)
	case apierrors.IsUnauthorized(err):
		return errors.New("the API server does not accept your credentials: log in again; `kubectl auth whoami` says who you are")
	case errors.As(err, &garbled):
		return errors.New("whoever answers is no API server: " + another)
	case ailing(err):
		return fmt.Errorf("the API server is not well (%s): try again; `kubectl get --raw '/readyz?verbose'` says what it lacks", redact.Line(err.Error(), 512))
	case apierrors.IsForbidden(err):
		return forbidden(err)
	}
	return err
}

// another is what to do about the wrong API server.
const another = "`kubectl config current-context` says which one is asked, and --context chooses another"

// silence says in which way an API server did not answer.
func silence(unsent *url.Error) string {
	var unresolved *net.DNSError
	var untrusted *tls.CertificateVerificationError
	where := "that is asked"
	if asked, err := url.Parse(unsent.URL); err == nil {
		where = "at " + redact.Harmless(asked.Host, 253)
	}
	switch {
	case errors.Is(unsent, syscall.ECONNREFUSED):
		return where + " refuses the connection"
	case errors.As(unsent, &unresolved):
		return where + " has a name that can't be looked up"
	case errors.As(unsent, &untrusted):
		return fmt.Sprintf("%s has a certificate that is not trusted (%s)", where, redact.Line(untrusted.Err.Error(), 512))
	case unsent.Timeout():
		return where + " does not answer in time"
	}
	return fmt.Sprintf("%s can't be reached (%s)", where, redact.Line(unsent.Err.Error(), 512))
}

// ailing reports whether the API server answered that it can't answer.
func ailing(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsTooManyRequests(err) || errors.As(err, &status) && status.Status().Code >= http5xx
}

// http5xx is the first code by which a server speaks of a fault of its own.
const http5xx = 500

// denial is how the API server says which right is missing.
var denial = regexp.MustCompile(`User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "([^"]*)" (?:in the namespace "([^"]*)"|at the cluster scope)`)

// plain is what may be written into a command without quotes, and is not taken for
// a flag there: `--all` is a name that a RoleBinding may have.
var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9@._:-]*$`)

// word is text that stands in a command, or what stands for it in capitals: a
// command is pasted by whoever trusts us, wherever its words came from.
func word(text, otherwise string) string {
	if plain.MatchString(text) {
		return text
	}
	return otherwise
}

// notPlain is every sign that a shell or a terminal may take for more than a letter.
var notPlain = regexp.MustCompile(`[^A-Za-z0-9@._: -]`)

// spelled is a name in which such signs are written as programmers do, so that it
// is harmless even if somebody pastes it, and can still be told from others.
func spelled(name string) string {
	return redact.Cut(notPlain.ReplaceAllStringFunc(name, func(sign string) string {
		r, _ := utf8.DecodeRuneInString(sign)
		if r < utf8.RuneSelf {
			return fmt.Sprintf(`\x%02x`, r)
		}
		return fmt.Sprintf(`\u%04x`, r)
	}), 253)
}

// deniedError says which right is missing, and who can give it with which command.
type deniedError struct {
	missing, giver, command string
	user                    string // who lacks it, if that may stand in a command
}

func (e *deniedError) Error() string {
	if e.command == "" {
		return e.missing + ": ask " + e.giver + " for that right"
	}
	return e.missing + ": ask " + e.giver + " for `" + e.command + "`"
}

// forbidden reads the API server's refusal.
func forbidden(err error) error {
	said := denial.FindStringSubmatch(err.Error())
	if said == nil {
		return &deniedError{missing: redact.Line(err.Error(), 1024), giver: clusterAdmin}
	}
	user, verb, resource, group, namespace := redact.Line(said[1], 253), said[2], said[3], said[4], said[5]
	what, where, giver := resource, "all namespaces", clusterAdmin
	if group != "" {
		what += "." + group
	}
	if namespace != "" {
		where, giver = "namespace "+redact.Line(namespace, widest), "whoever administers that namespace"
	}
	denied := &deniedError{missing: fmt.Sprintf("you (%s) may not %s %s in %s", user, verb, what, where), giver: giver}
	if plain.MatchString(user) {
		denied.user = user
	}
	role := roleFor(group, resource, verb)
	if role == approver {
		denied.giver = approverGiver
	}
	switch {
	case role == "" || !plain.MatchString(user) || namespace != "" && !plain.MatchString(namespace):
	case namespace == "":
		denied.missing += "; -n names one that you may look at"
		denied.command = everywhere(role, user)
	default:
		denied.command = fmt.Sprintf("kubectl -n %s create rolebinding %s --clusterrole=%s %s", namespace, bindingName(role, user), role, subject(user))
	}
	return denied
}

// Nobody may give a right that they don't have, and no built-in role has the verb approve.
const (
	approver      = "kubernaut-approver"
	approverGiver = clusterAdmin
)

const clusterAdmin = "whoever administers the cluster"

// everywhere is the command that gives a role in all namespaces.
func everywhere(role, user string) string {
	return fmt.Sprintf("kubectl create clusterrolebinding %s --clusterrole=%s %s", bindingName(role, user), role, subject(user))
}

// unanswered is the refusal of guard 1, which asks for the verb approve.
func unanswered(user, namespace string) error {
	denied := &deniedError{missing: fmt.Sprintf("you (%s) may not answer for plans in namespace %s", user, namespace), giver: approverGiver}
	if plain.MatchString(user) && plain.MatchString(namespace) {
		denied.command = fmt.Sprintf("kubectl -n %s create rolebinding %s --clusterrole=%s %s", namespace, bindingName(approver, user), approver, subject(user))
	}
	return denied
}

// roleFor is the smallest of the shipped roles, or of Kubernetes' own, that has a
// right; none for what no role that a tenant may give has.
func roleFor(group, resource, verb string) string {
	reads := slices.Contains([]string{"get", "list", "watch"}, verb)
	if group == v1alpha1.GroupVersion.Group {
		return ownRole(resource, verb, reads)
	}
	if reads && slices.Contains([]string{"", "apps", "batch"}, group) && resource != "namespaces" {
		return "view"
	}
	return ""
}

// ownRole is about our own kinds.
func ownRole(resource, verb string, reads bool) string {
	switch {
	case reads:
		return "kubernaut-viewer"
	case resource != "alertremediations":
	case verb == "patch" || verb == "update":
		return approver
	case verb == "create":
		return "kubernaut-operator"
	}
	return "kubernaut-admin"
}

// subject is how kubectl is told whom a role is bound to.
func subject(user string) string {
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		return "--serviceaccount=" + account
	}
	return "--user=" + user
}

// notInName is what the name of an object may not hold.
var notInName = regexp.MustCompile(`[^a-z0-9.]+`)

func bindingName(role, user string) string {
	return role + "-" + strings.Trim(notInName.ReplaceAllString(strings.ToLower(user), "-"), "-.")
}
