package evidence

import (
	"context"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

// maxLogBytes bounds what is read of one container's log.
const maxLogBytes = 16 << 10

// Logs reads the end of containers' logs.
type Logs interface {
	// Tail returns the last lines of a container's log, or of its previous incarnation's.
	Tail(ctx context.Context, namespace, pod, container string, previous bool, lines int64) ([]string, error)
}

type podLogs struct {
	client kubernetes.Interface
}

// NewLogs returns Logs that asks the API server.
func NewLogs(client kubernetes.Interface) Logs {
	return podLogs{client: client}
}

func (l podLogs) Tail(ctx context.Context, namespace, pod, container string, previous bool, lines int64) ([]string, error) {
	limit := int64(maxLogBytes)
	stream, err := l.client.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines, LimitBytes: &limit,
	}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s in pod %s: %w", container, pod, err)
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(io.LimitReader(stream, limit))
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s in pod %s: %w", container, pod, err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}
