package evidence

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	// maxRead bounds what is read of one container's log, in bytes.
	maxRead = 64 << 10
	// tailLines are read of one container's log, and keptLines of them kept.
	tailLines = 200
	keptLines = 50
	// keptBytes of one log; maxLogs of them stay under 64 KiB together.
	keptBytes = 8 << 10
	maxLogs   = 6
)

// noLog begins what the kubelet says in place of a log that is gone.
const noLog = "unable to retrieve container logs for "

// Logs reads the end of containers' logs.
type Logs interface {
	// Tail returns the last lines of the log that is named.
	Tail(ctx context.Context, namespace string, of analysis.Log) ([]string, error)
}

type podLogs struct {
	client kubernetes.Interface
}

// NewLogs returns Logs that asks the API server.
func NewLogs(client kubernetes.Interface) Logs {
	return podLogs{client: client}
}

func (l podLogs) Tail(ctx context.Context, namespace string, of analysis.Log) ([]string, error) {
	lines, limit := int64(tailLines), int64(maxRead)
	stream, err := l.client.CoreV1().Pods(namespace).GetLogs(of.Pod, &corev1.PodLogOptions{
		Container: of.Container, Previous: of.Previous, TailLines: &lines, LimitBytes: &limit,
	}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s in pod %s: %w", of.Container, of.Pod, err)
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(io.LimitReader(stream, limit))
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s in pod %s: %w", of.Container, of.Pod, err)
	}
	if len(text) == 0 || strings.HasPrefix(string(text), noLog) {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// readLogs reads the logs of containers that fail, the current and the previous
// ones side by side.
func (l *look) readLogs(ctx context.Context) {
	wanted := wantedLogs(l.snapshot.Pods)
	texts := make([][]string, len(wanted))
	reads := make([]func(), len(wanted))
	for i, w := range wanted {
		reads[i] = func() { texts[i] = l.tail(ctx, w) }
	}
	atonce.Do(reads...)
	for i, lines := range texts {
		if len(lines) > 0 {
			wanted[i].Lines = lines
			l.snapshot.Logs = append(l.snapshot.Logs, wanted[i])
		}
	}
}

// tail reads one log, redacted and cut. A log that is not there (any more) is
// not missing: a container that never ran has none.
func (l *look) tail(ctx context.Context, of analysis.Log) []string {
	lines, err := l.logs.Tail(ctx, l.snapshot.Target.Namespace, of)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsBadRequest(err):
		return nil
	case err != nil:
		l.unread("log of "+of.Container+" in pod "+of.Pod, err, true)
		return nil
	}
	return aroundError(strings.Split(redact.Text(strings.Join(lines, "\n")), "\n"))
}

// wantedLogs names the logs of containers that fail now, or did a moment ago:
// those of two pods at most, for replicas fail alike.
func wantedLogs(pods []corev1.Pod) []analysis.Log {
	var wanted []analysis.Log
	seen := 0
	for i := range pods {
		logs := failingLogs(&pods[i])
		if len(logs) == 0 {
			continue
		}
		wanted = append(wanted, logs...)
		if seen++; seen == 2 {
			break
		}
	}
	return first(wanted, maxLogs)
}

func failingLogs(pod *corev1.Pod) []analysis.Log {
	var logs []analysis.Log
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		ended := hasFailed(pod, &c)
		waits := c.State.Running != nil && !c.Ready // and may say for what
		if !ended && !waits && (c.Ready || c.RestartCount == 0) {
			continue
		}
		if c.RestartCount > 0 {
			logs = append(logs, analysis.Log{Pod: pod.Name, Container: c.Name, Previous: true})
		}
		if c.State.Running != nil || ended {
			logs = append(logs, analysis.Log{Pod: pod.Name, Container: c.Name})
		}
	}
	return logs
}

// hasFailed reports whether a container is down because it ended: with an error, or once
// more although it must not end at all.
func hasFailed(pod *corev1.Pod, c *corev1.ContainerStatus) bool {
	end := c.State.Terminated
	return end != nil && (end.ExitCode != 0 || c.RestartCount > 0 && vitals.KeepsRunning(pod, c.Name))
}

var errorLine = regexp.MustCompile(`(?i)error|exception|fatal|panic|traceback|denied|refused|killed|cannot|can't|no such|not found`)

// aroundError keeps the lines that end a little after the last one that speaks
// of an error, or else the last lines.
func aroundError(lines []string) []string {
	end := len(lines)
	for i := len(lines) - 1; i >= 0; i-- {
		if errorLine.MatchString(lines[i]) {
			end = min(len(lines), i+11)
			break
		}
	}
	start := max(0, end-keptLines)
	size := 0
	for i := end - 1; i >= start; i-- {
		lines[i] = redact.Cut(lines[i], 1024)
		if size += len(lines[i]); size > keptBytes {
			start = i + 1
			break
		}
	}
	return lines[start:end]
}
