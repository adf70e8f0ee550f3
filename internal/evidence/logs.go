package evidence

import (
	"context"
	"errors"
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

// errGone says that the kubelet has removed a log: of a container's ended runs it keeps one.
var errGone = errors.New("the kubelet no longer has it")

// Logs reads the end of containers' logs.
type Logs interface {
	// Tail returns the last lines of the log that is named; none if nothing was written.
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
	switch {
	case len(text) == 0:
		return nil, nil
	case strings.HasPrefix(string(text), noLog):
		return nil, errGone
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// wantedLog is a log to be read.
type wantedLog struct {
	analysis.Log
	// exists is true for the log of the run that ended last, unless that never began.
	exists bool
}

// readLogs reads the logs of containers that fail, the current and the previous
// ones side by side.
func (l *look) readLogs(ctx context.Context) {
	wanted := wantedLogs(l.snapshot.Pods)
	reads := make([]func(), len(wanted))
	for i := range wanted {
		reads[i] = func() { wanted[i].Lines = l.tail(ctx, wanted[i]) }
	}
	atonce.Do(reads...)
	for _, w := range wanted {
		if len(w.Lines) > 0 {
			l.snapshot.Logs = append(l.snapshot.Logs, w.Log)
		}
	}
}

// tail reads one log, redacted and cut. Where a log exists and is gone, that is noted:
// what it said is unknown, which is not the same as nothing.
func (l *look) tail(ctx context.Context, of wantedLog) []string {
	lines, err := l.logs.Tail(ctx, l.snapshot.Target.Namespace, of.Log)
	isGone := apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) || errors.Is(err, errGone)
	switch {
	case isGone && !of.exists:
		return nil
	case err != nil:
		l.unread(of.String(), err, true)
		return nil
	case len(lines) == 0:
		return nil
	}
	return aroundError(strings.Split(redact.Text(strings.Join(lines, "\n")), "\n"))
}

// wantedLogs names the logs of containers that fail now, or did a moment ago:
// those of two pods at most, for replicas fail alike.
func wantedLogs(pods []corev1.Pod) []wantedLog {
	var wanted []wantedLog
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

func failingLogs(pod *corev1.Pod) []wantedLog {
	var logs []wantedLog
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		ended := hasFailed(pod, &c)
		waits := c.State.Running != nil && !c.Ready // and may say for what
		if ended || waits || !c.Ready && c.RestartCount > 0 {
			logs = append(logs, logsOf(pod, &c, ended)...)
		}
	}
	return logs
}

// logsOf names the logs of a container that fails: of the run before, and of the current
// one, which may have ended.
func logsOf(pod *corev1.Pod, c *corev1.ContainerStatus, ended bool) []wantedLog {
	var logs []wantedLog
	of := analysis.Log{Pod: pod.Name, Container: c.Name}
	if c.RestartCount > 0 {
		previous := of
		previous.Previous = true
		logs = append(logs, wantedLog{previous, !ended && vitals.HasRun(c.LastTerminationState.Terminated)})
	}
	if c.State.Running != nil || ended {
		logs = append(logs, wantedLog{of, ended && vitals.HasRun(c.State.Terminated)})
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
