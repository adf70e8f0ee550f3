package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/alertmanager"
	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

var _ = Describe("a firing alert", func() {
	It("becomes an object in its namespace, under a decided name", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		Expect(newReplica().delivered(ctx, crash(ns))).To(Equal("1 created"))
		ar := only(ctx, ns)
		Expect(ar.Name).To(MatchRegexp(`^ar-[0-9a-f]{16}$`))
		Expect(ar.Labels).To(HaveKeyWithValue(v1alpha1.FingerprintLabel, ar.Spec.Alert.Fingerprint))
		Expect(ar.Labels).To(HaveKeyWithValue("kubernaut.io/alert", "KubePodCrashLooping"))
		Expect(ar.Spec.Alert.Source).To(Equal(v1alpha1.SourceAlertmanager))
		Expect(ar.Spec.Alert.Severity).To(Equal(v1alpha1.SeverityWarning))
		Expect(ar.Spec.Alert.StartsAt.Unix()).To(Equal(started.Unix()))
		Expect(ar.Status.Alert).To(BeNil(), "absent: firing, received once")
		Expect(ar.Spec.Target).To(BeNil(), "finding it is admit's work")
	})

	It("goes to the operator's namespace if it is about a node", func(ctx SpecContext) {
		node := crash("").label("namespace", "").label("pod", "").label("node", "n1")
		Expect(newReplica().delivered(ctx, node)).To(Equal("1 created"))
		Expect(remediations(ctx, kubetest.OperatorNamespace)).To(ContainElement(HaveField("Spec.Alert.Labels", HaveKeyWithValue("node", "n1"))))
	})

	It("is told at the second delivery, then at powers of two, and writes nothing in between", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		written := map[int]int64{}
		for n := 1; n <= 9; n++ {
			before := r.writes.Load()
			r.clock.SetTime(now.Add(time.Duration(n) * time.Minute))
			r.delivered(ctx, crash(ns))
			if r.writes.Load() > before && n > 1 {
				written[n] = only(ctx, ns).Status.Alert.Occurrences
			}
		}
		Expect(written).To(Equal(map[int]int64{2: 2, 4: 4, 8: 8}))
		Expect(only(ctx, ns).Status.Alert.State).To(Equal(v1alpha1.AlertFiring))
		Expect(only(ctx, ns).Status.Alert.LastReceivedAt.Time).To(BeTemporally("~", now.Add(8*time.Minute), time.Second))
	})

	It("is taken by the unfinished object although replicas disagree about its start", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		Expect(newReplica().delivered(ctx, crash(ns))).To(Equal("1 created"))
		Expect(newReplica().delivered(ctx, crash(ns).startedAt(started.Add(15*time.Second)))).To(Equal("1 repeated"))
		Expect(only(ctx, ns).Status.Alert.Occurrences).To(BeEquivalentTo(2))
	})

	It("stays with its finished object as long as it is the same firing", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns))
		finish(ctx, only(ctx, ns))
		before := r.writes.Load()
		Expect(r.delivered(ctx, crash(ns))).To(Equal("1 repeated"))
		Expect(r.writes.Load()).To(Equal(before))
	})

	It("is a new object when it fires again after the last one ended", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns))
		finish(ctx, only(ctx, ns))
		Expect(r.delivered(ctx, crash(ns).startedAt(started.Add(time.Hour)))).To(Equal("1 created"))
		Expect(remediations(ctx, ns)).To(HaveLen(2))
	})

	It("is created once, however many deliver it at once", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		answers := make([]string, 8)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				defer GinkgoRecover()
				answers[i] = newReplica().delivered(ctx, crash(ns))
			})
		}
		all.Wait()
		Expect(answers).To(HaveEach(Or(Equal("1 created"), Equal("1 repeated"))))
		Expect(strings.Count(strings.Join(answers, ";"), "1 created")).To(Equal(1))
		only(ctx, ns)
	})

	It("is found although the cache is behind", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		Expect(newReplica().delivered(ctx, crash(ns))).To(Equal("1 created"))
		behind := replicaOf(emptyCache(), operator)
		Expect(behind.delivered(ctx, crash(ns), crash(ns))).To(Equal("2 repeated"))
		Expect(only(ctx, ns).Status.Alert.Occurrences).To(BeElementOf(int64(2), int64(3)), "two deliveries here, but the cache knows none: they are counted from one, and one of them is written")
	})

	It("is rejected if its name is taken by what is not ours", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns))
		theirs := only(ctx, ns)
		Expect(server.Client.Delete(ctx, theirs)).To(Succeed())
		forged := &v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: theirs.Name}, Spec: theirs.Spec}
		forged.Spec.Alert.Source = v1alpha1.SourceManual
		Expect(operator.Create(ctx, forged)).To(Succeed())
		Expect(r.delivered(ctx, crash(ns))).To(Equal("[0] NameTaken"))
		Expect(r.eventReasons()).To(ContainElement("NameTaken"))
		Expect(only(ctx, ns).Status.Alert).To(BeNil())
	})

	It("is not taken for somebody's manual object with the same label", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns))
		ours := only(ctx, ns)
		manual := &v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine", Labels: ours.Labels}, Spec: ours.Spec}
		manual.Spec.Alert.Source = v1alpha1.SourceManual
		Expect(server.Client.Create(ctx, manual)).To(Succeed())
		Expect(r.delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("1 resolved"))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(manual), manual)).To(Succeed())
		Expect(manual.Status.Alert).To(BeNil())
	})
})

var _ = Describe("a resolved alert", func() {
	It("is told to its object, finished or not, and written once", func(ctx SpecContext) {
		for _, finished := range []bool{false, true} {
			ns, r := server.Namespace(ctx), newReplica()
			r.delivered(ctx, crash(ns))
			if finished {
				finish(ctx, only(ctx, ns))
			}
			Expect(r.delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("1 resolved"))
			said := only(ctx, ns).Status.Alert
			Expect(said.State).To(Equal(v1alpha1.AlertResolved))
			Expect(said.ResolvedAt.Unix()).To(Equal(ended.Unix()))
			before := r.writes.Load()
			Expect(r.delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("1 repeated"))
			Expect(r.writes.Load()).To(Equal(before))
		}
	})

	It("fires again on the same object while that is unfinished", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns))
		r.delivered(ctx, crash(ns).resolvedAt(ended))
		Expect(r.delivered(ctx, crash(ns).startedAt(ended.Add(time.Minute)))).To(Equal("1 repeated"))
		said := only(ctx, ns).Status.Alert
		Expect(said.State).To(Equal(v1alpha1.AlertFiring))
		Expect(said.ResolvedAt.IsZero()).To(BeTrue())
	})

	It("never makes an object", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		Expect(r.delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("1 unknown"))
		Expect(remediations(ctx, ns)).To(BeEmpty())
		Expect(r.writes.Load()).To(BeZero())
	})

	It("is heard although the cache does not know its object yet", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		newReplica().delivered(ctx, crash(ns))
		Expect(replicaOf(emptyCache(), operator).delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("1 resolved"))
	})

	It("is not believed of a firing that began after it", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns).startedAt(ended.Add(time.Minute)))
		Expect(r.delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("1 unknown"))
		Expect(only(ctx, ns).AlertState()).To(Equal(v1alpha1.AlertFiring))
	})

	It("is told to every object that would say for ever that it fires", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns))
		finish(ctx, only(ctx, ns))
		r.delivered(ctx, crash(ns).startedAt(started.Add(time.Minute)))
		Expect(r.delivered(ctx, crash(ns).startedAt(started.Add(time.Minute)).resolvedAt(ended))).To(Equal("1 resolved"))
		for _, ar := range remediations(ctx, ns) {
			Expect(ar.AlertState()).To(Equal(v1alpha1.AlertResolved))
		}
	})

	It("resolved on our clock if theirs is ahead", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		r.delivered(ctx, crash(ns))
		r.delivered(ctx, crash(ns).resolvedAt(now.Add(time.Hour)))
		Expect(only(ctx, ns).Status.Alert.ResolvedAt.Unix()).To(Equal(now.Unix()))
	})

	It("is written although the controllers write the same status", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		newReplica().delivered(ctx, crash(ns))
		meddles := 2
		busy := interceptor.NewClient(operator, interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
				if meddles > 0 {
					meddles--
					ar := only(ctx, ns)
					ar.Status.ObservedBy = "kubernaut-0 v" + strings.Repeat("1", meddles+1)
					Expect(operator.Status().Update(ctx, ar)).To(Succeed())
				}
				return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			},
		})
		Expect(replicaOf(busy, operator).delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("1 resolved"))
		ar := only(ctx, ns)
		Expect(ar.AlertState()).To(Equal(v1alpha1.AlertResolved))
		Expect(ar.Status.ObservedBy).To(Equal("kubernaut-0 v1"), "what the others wrote is still there")
	})
})

var _ = Describe("an alert that is not for us", func() {
	It("is counted if its name is ignored", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		Expect(r.delivered(ctx, crash(ns).label("alertname", "Watchdog"))).To(Equal("1 ignored"))
		Expect(remediations(ctx, ns)).To(BeEmpty())
	})

	It("is counted if it names another cluster, and ours is taken", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica(func(s *intake.Settings) { s.Cluster = "prod" })
		Expect(r.delivered(ctx, crash(ns).label("cluster", "test"), crash(ns).label("cluster", "prod"))).To(Equal("1 created, 1 foreign"))
		Expect(only(ctx, ns).Spec.Alert.Cluster).To(Equal("prod"))
		Expect(r.delivered(ctx, crash(ns).label("cluster", "test").resolvedAt(ended))).To(Equal("1 foreign"))
	})
})

var _ = Describe("an alert that can't be taken", func() {
	It("does not poison its neighbours, and is told with its index and reason", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		Expect(r.delivered(ctx,
			crash(ns).label("alertname", ""), crash(ns), crash(ns).with("labels", []string{}), crash(ns).label("alertname", "tab\tbed"), crash("no-such-namespace"),
		)).To(Equal("1 created, [0] Nameless, [2] Unparsable, [3] UnfitName, [4] NamespaceGone"))
		Expect(r.eventReasons()).To(ConsistOf("Unparsable", "Nameless", "UnfitName", "NamespaceGone"))
		Expect(r.counted("kubernaut_intake_alerts_total", "rejected")).To(BeEquivalentTo(4))
		Expect(r.counted("kubernaut_intake_alerts_total", "created")).To(BeEquivalentTo(1))
		Expect(r.counted("kubernaut_intake_rejected_alerts_total", "NamespaceGone")).To(BeEquivalentTo(1))
	})

	It("is told from one that may be taken later by what the API server says", func(ctx SpecContext) {
		going := server.Namespace(ctx)
		Expect(server.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: going}})).To(Succeed())
		full := server.Namespace(ctx)
		quota(ctx, full)
		r := newReplica()
		Expect(r.delivered(ctx, crash(going), crash(full))).To(Equal("[0] NamespaceTerminating, [1] OverQuota"))
	})

	It("leaves an event that people find in the operator's namespace", func(ctx SpecContext) {
		set, err := kubernetes.NewForConfig(server.OperatorConfig(ctx))
		Expect(err).NotTo(HaveOccurred())
		broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: set.EventsV1()})
		defer broadcaster.Shutdown()
		Expect(broadcaster.StartRecordingToSinkWithContext(ctx)).To(Succeed())
		r := newReplica()
		r.handler = intake.New(intake.Cluster{Client: operator, Live: operator, Events: broadcaster.NewRecorder(server.Scheme, "kubernaut")},
			intake.Door{}, nil, r.clock, intake.Settings{Namespace: kubetest.OperatorNamespace}, prometheus.NewRegistry())
		Expect(r.delivered(ctx, crash("no-such-namespace"))).To(Equal("[0] NamespaceGone"))
		Eventually(ctx, func(g Gomega) { // the broadcaster writes in the background
			list := &eventsv1.EventList{}
			g.Expect(server.Client.List(ctx, list, client.InNamespace(kubetest.OperatorNamespace))).To(Succeed())
			g.Expect(list.Items).To(ContainElement(HaveField("Reason", "NamespaceGone")))
		}).WithTimeout(30 * time.Second).Should(Succeed())
	})
})

var _ = Describe("trouble that passes", func() {
	It("is a 503 for the whole message, and the rest is stored all the same", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		down := interceptor.NewClient(operator, interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if obj.(*v1alpha1.AlertRemediation).Spec.Alert.Labels["pod"] == "web-2" {
					return apierrors.NewInternalError(errors.New("etcd is away"))
				}
				return c.Create(ctx, obj, opts...)
			},
		})
		two := []delivery{crash(ns).label("pod", "web-2"), crash(ns)}
		Expect(replicaOf(down, operator).delivered(ctx, two...)).To(Equal("503"))
		Expect(only(ctx, ns).Spec.Alert.Labels).To(HaveKeyWithValue("pod", "web-1"))
		Expect(newReplica().delivered(ctx, two...)).To(Equal("1 created, 1 repeated"), "sent again, it harms nobody")
	})

	DescribeTable("is told from what does not pass",
		func(ctx SpecContext, err error, want string) {
			ns := server.Namespace(ctx)
			refusing := interceptor.NewClient(operator, interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return err },
			})
			Expect(replicaOf(refusing, operator).delivered(ctx, crash(ns))).To(Equal(want))
		},
		Entry("a guard", apierrors.NewForbidden(kinds, "ar-1", errors.New("ValidatingAdmissionPolicy 'kubernaut-origin' denied request: no")), "[0] Forbidden"),
		Entry("a role that is missing, or not known yet to an API server that only starts", apierrors.NewForbidden(kinds, "", errors.New(
			`User "system:serviceaccount:kubernaut-system:kubernaut" cannot create resource "alertremediations" in API group "kubernaut.io" in the namespace "shop"`)), "503"),
		Entry("an API server that only starts", apierrors.NewForbidden(kinds, "ar-1", errors.New("not yet ready to handle request")), "503"),
		Entry("a quota nobody has counted yet", apierrors.NewForbidden(kinds, "ar-1", errors.New("status unknown for quota: q")), "503"),
		Entry("a CRD that is not there yet", apierrors.NewNotFound(kinds, ""), "503"),
		Entry("too many requests", apierrors.NewTooManyRequests("later", 1), "503"),
		Entry("no answer in time", apierrors.NewTimeoutError("later", 1), "503"),
		Entry("no connection", errors.New("connection refused"), "503"),
		Entry("an object the schema refuses", apierrors.NewInvalid(schema.GroupKind{Kind: "AlertRemediation"}, "ar-1", nil), "[0] Invalid"),
		Entry("an object that is too large", apierrors.NewRequestEntityTooLargeError("limit is 3145728"), "[0] TooLarge"),
	)

	It("is a 503 in time, however long the API server takes", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		hangs := interceptor.NewClient(operator, interceptor.Funcs{
			Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
				<-ctx.Done()
				return ctx.Err()
			},
		})
		soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		Expect(replicaOf(hangs, operator).delivered(soon, crash(ns), crash(ns).label("pod", "web-2"))).To(Equal("503"))
	})

	It("is a 503 when reading or telling fails", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		newReplica().delivered(ctx, crash(ns))
		blind := interceptor.NewClient(operator, interceptor.Funcs{
			List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
				return errors.New("away")
			},
		})
		Expect(replicaOf(blind, operator).delivered(ctx, crash(ns))).To(Equal("503"))
		mute := interceptor.NewClient(operator, interceptor.Funcs{
			SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
				return errors.New("away")
			},
		})
		r := replicaOf(mute, operator)
		Expect(r.delivered(ctx, crash(ns).resolvedAt(ended))).To(Equal("503"))
		Expect(r.delivered(ctx, crash(ns))).To(Equal("503"))
		Expect(newReplica().delivered(ctx, crash(ns))).To(Equal("1 repeated"))
		Expect(only(ctx, ns).Status.Alert.Occurrences).To(BeEquivalentTo(2), "what could not be written is written by the next")
	})

	It("is a 503 when our time is up, with nothing half done", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		Expect(newReplica().delivered(gone, crash(ns), crash(ns))).To(Equal("503"))
		Expect(remediations(ctx, ns)).To(BeEmpty())
	})
})

var _ = Describe("a message", func() {
	DescribeTable("that is none is a fault of the sender, in JSON",
		func(ctx SpecContext, change func(*http.Request), body string, want int) {
			r := newReplica()
			req := post(ctx, body)
			change(req)
			status, answer := r.answers(req)
			Expect(status).To(Equal(want))
			Expect(answer).To(MatchRegexp(`^\{"error":".+"\}\n$`))
			Expect(answer).NotTo(ContainSubstring("hunter2"))
		},
		Entry("not posted", func(r *http.Request) { r.Method = http.MethodGet }, "", 405),
		Entry("of no type", func(r *http.Request) { r.Header.Del("Content-Type") }, "{}", 415),
		Entry("of another type", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, "{}", 415),
		Entry("compressed", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, "{}", 415),
		Entry("no JSON", func(*http.Request) {}, "token=hunter2", 400),
		Entry("of another version", func(*http.Request) {}, `{"version":"hunter2","alerts":[]}`, 400),
		Entry("too large", func(*http.Request) {}, strings.Repeat(" ", 4<<20+1), 413),
		Entry("of too many alerts", func(*http.Request) {}, `{"version":"4","alerts":[0`+strings.Repeat(",0", 10_000)+`]}`, 413),
	)

	It("may say its charset, and may be empty", func(ctx SpecContext) {
		req := post(ctx, `{"version":"4","alerts":[]}`)
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		status, body := newReplica().answers(req)
		Expect(status).To(Equal(http.StatusOK))
		Expect(body).To(MatchJSON(`{"created":0,"repeated":0,"resolved":0,"ignored":0,"foreign":0,"unknown":0,"rejected":[]}`))
	})

	It("that was truncated is counted and told", func(ctx SpecContext) {
		r := newReplica()
		status, _ := r.answers(post(ctx, `{"version":"4","alerts":[],"truncatedAlerts":7}`))
		Expect(status).To(Equal(http.StatusOK))
		Expect(r.eventReasons()).To(ConsistOf("AlertsTruncated"))
		Expect(r.counted("kubernaut_intake_truncated_alerts_total")).To(BeEquivalentTo(7))
		Expect(r.counted("kubernaut_intake_unfetched_alerts_total")).To(BeEquivalentTo(7))
	})

	It("that was truncated is completed for a receiver with a name that Alertmanager escapes", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			listed := []delivery{}
			if regexp.MustCompile("^(?:" + req.URL.Query().Get("receiver") + ")$").MatchString("heal.shop") {
				listed = append(listed, crash(ns).label("pod", "web-2").with("status", map[string]string{"state": "active"}))
			}
			Expect(json.NewEncoder(w).Encode(listed)).To(Succeed())
		}))
		DeferCleanup(api.Close)
		r := wired(intake.Door{}, alertmanager.New(api.URL, api.Client()))
		for sent, fetched := range map[string]bool{`heal\\.shop`: true, "heal.shop": true, "other": false} {
			body := strings.Replace(message(crash(ns)), "{", `{"receiver":"`+sent+`","truncatedAlerts":1,`, 1)
			status, said := r.answers(post(ctx, body))
			Expect(status).To(Equal(http.StatusOK), said)
			if !fetched {
				Expect(r.eventReasons()).To(ConsistOf("AlertsTruncated"))
				continue
			}
			Expect(r.eventReasons()).To(BeEmpty())
		}
		Expect(remediations(ctx, ns)).To(HaveLen(2))
		Expect(r.counted("kubernaut_intake_truncated_alerts_total")).To(BeEquivalentTo(3))
		Expect(r.counted("kubernaut_intake_unfetched_alerts_total")).To(BeEquivalentTo(1))
	})

	It("that was truncated is completed from Alertmanager, and only what is still missing is told", func(ctx SpecContext) {
		var asked string
		ns := server.Namespace(ctx)
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			asked = fmt.Sprint(req.URL.Query()["receiver"], req.URL.Query()["filter"], req.URL.Query()["silenced"])
			listed := []delivery{crash(ns), crash(ns).label("pod", "web-2"), crash(ns).label("pod", "web-3"), crash(ns).label("alertname", "")}
			for i := range listed {
				listed[i] = listed[i].with("status", map[string]string{"state": "active"}).with("endsAt", now.Add(time.Minute).Format(time.RFC3339))
			}
			Expect(json.NewEncoder(w).Encode(listed)).To(Succeed())
		}))
		DeferCleanup(api.Close)
		r := wired(intake.Door{}, alertmanager.New(api.URL, api.Client()))
		truncated := func(by int) string {
			return strings.Replace(message(crash(ns)), "{", fmt.Sprintf(`{"receiver":"ops/k.1","groupLabels":{"alertname":"A \"B\"","a.b":"c"},"truncatedAlerts":%d,`, by), 1)
		}
		status, body := r.answers(post(ctx, truncated(2)))
		Expect(status).To(Equal(http.StatusOK))
		Expect(body).To(ContainSubstring(`"created":3`))
		Expect(asked).To(Equal(`[ops/k\.1] ["a.b"="c" alertname="A \"B\""] [false]`))
		Expect(r.eventReasons()).To(BeEmpty())
		for _, ar := range remediations(ctx, ns) {
			Expect(ar.AlertState()).To(Equal(v1alpha1.AlertFiring))
		}

		status, body = r.answers(post(ctx, truncated(5)))
		Expect(status).To(Equal(http.StatusOK))
		Expect(body).To(ContainSubstring(`"repeated":3`))
		Expect(r.eventReasons()).To(ConsistOf("AlertsTruncated"))

		api.Close()
		status, body = r.answers(post(ctx, truncated(2)))
		Expect(status).To(Equal(http.StatusOK), "the message itself is good")
		Expect(body).To(ContainSubstring(`"repeated":1`))
		Expect(r.eventReasons()).To(ConsistOf("AlertsTruncated"))
		Expect(r.counted("kubernaut_intake_unfetched_alerts_total")).To(BeEquivalentTo(3 + 2))
	})
})

var kinds = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "alertremediations"}

// emptyCache is a client whose cache has heard of nothing yet.
func emptyCache() client.WithWatch {
	return interceptor.NewClient(operator, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
	})
}

// quota lets a namespace hold no remediation. The controller that would count
// what is used is not here.
func quota(ctx context.Context, namespace string) {
	none := corev1.ResourceList{"count/alertremediations.kubernaut.io": resource.MustParse("0")}
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	Expect(server.Client.Create(ctx, q)).To(Succeed())
	q.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	Expect(server.Client.Status().Update(ctx, q)).To(Succeed())
}
