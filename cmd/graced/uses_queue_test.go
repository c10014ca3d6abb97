package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

var queueSeed = flag.Uint64("queue.seed", 0, "seed of the jobs of the queue's workers; 0: a random one")

// queueWorker takes one job after the other. TERM has it leave when it has finished the one that it is at, as Laravel's workers do.
func queueWorker() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	p, err := callDesk()
	if err != nil {
		return 1
	}
	lines := make(chan []string)
	go func() {
		defer close(lines)
		for w := p.hear(); w != nil; w = p.hear() {
			lines <- w
		}
	}()
	p.say("next")
	leaving := false
	for {
		select {
		case <-term: // it is idle, or a job is on its way to it
			leaving = true
			p.say("leave")
		case w, ok := <-lines:
			if !ok || w[0] == "bye" {
				return 0
			}
			if span, err := time.ParseDuration(w[2]); err == nil {
				<-time.After(span) // the job
			} else if <-lines == nil { // it takes until the test says so
				return 1
			}
			p.say("done %s", w[1])
			select {
			case <-term:
				return 0
			default:
			}
			if !leaving {
				p.say("next")
			}
		}
	}
}

// queue gives numbered jobs to workers and keeps account of them.
type queue struct {
	t  *testing.T
	mu sync.Mutex
	*rand.Rand
	jobs    int               // so far
	again   []int             // whose workers were killed
	flows   bool              // there is always another job
	wanted  map[string]bool   // workers whose next job takes until it is released
	held    map[string]int    // those that are at such a job
	idle    map[string]*phone // workers that wait for a job
	calls   map[string]*phone // all workers
	at      map[*phone]int    // the job that each got last
	given   map[int]int       // how often each job was given away
	done    map[int]int       // how often it was done
	cut     []int             // jobs that were not finished by whom they were given to
	doneAll int
}

func newQueue(t *testing.T, path string) *queue {
	seed := *queueSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	q := &queue{t: t, Rand: rand.New(rand.NewPCG(seed, 0)), flows: true, wanted: map[string]bool{}, held: map[string]int{}, idle: map[string]*phone{}, calls: map[string]*phone{}, at: map[*phone]int{},
		given: map[int]int{}, done: map[int]int{}}
	openDesk(t, path, q.take)
	return q
}

// take talks with a worker to its end.
func (q *queue) take(p *phone, name string, _ int) {
	q.with(func() { q.calls[name] = p })
	for w := p.hear(); w != nil; w = p.hear() {
		q.with(func() {
			switch w[0] {
			case "next":
				q.idle[name] = p
				q.deal(name)
			case "leave":
				delete(q.idle, name)
				p.say("bye")
			case "done":
				n, _ := strconv.Atoi(w[1]) // 0 was never given
				q.done[n]++
				q.doneAll++
				delete(q.held, name)
			}
		})
	}
	q.with(func() {
		if q.calls[name] == p {
			delete(q.calls, name)
			delete(q.idle, name)
		}
		job := q.at[p]
		if delete(q.at, p); job != 0 && q.done[job] == 0 && q.t.Context().Err() == nil {
			q.cut = append(q.cut, job)
			q.again = append(q.again, job)
			delete(q.held, name)
		}
	})
}

func (q *queue) with(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
}

// deal gives an idle worker what there is for it. The mutex is held.
func (q *queue) deal(name string) {
	p, job, takes := q.idle[name], 0, ""
	switch {
	case p == nil:
		return
	case q.wanted[name]:
		q.jobs++
		job, takes = q.jobs, "long"
		delete(q.wanted, name)
		q.held[name] = job
	case len(q.again) > 0:
		job, takes = q.again[0], "1ms"
		q.again = q.again[1:]
	case q.flows:
		q.jobs++
		job, takes = q.jobs, fmt.Sprintf("%dus", q.IntN(1<<q.IntN(18))) // most are short, some take a tenth of a second
	default:
		return
	}
	delete(q.idle, name)
	q.given[job]++
	q.at[p] = job
	p.say("job %d %s", job, takes)
}

// hold has a worker be busy until it is released.
func (r *rig) hold(q *queue, name string) (job int) {
	r.t.Helper()
	q.with(func() { q.wanted[name] = true; q.deal(name) })
	r.until(name+" is busy", func() bool { q.with(func() { job = q.held[name] }); return job != 0 })
	return job
}

func (q *queue) release(name string) {
	q.with(func() { q.calls[name].say("end") })
}

// flow says whether there are jobs without an end, or none.
func (q *queue) flow(on bool) {
	q.with(func() {
		q.flows = on
		for name := range q.idle {
			q.deal(name)
		}
	})
}

// working waits until so many workers are there and some more jobs have been done.
func (r *rig) working(q *queue, workers int) {
	r.t.Helper()
	before := -1
	r.until(fmt.Sprintf("%d workers work", workers), func() (ok bool) {
		q.with(func() {
			if before < 0 {
				before = q.doneAll
			}
			ok = len(q.calls) == workers && q.doneAll >= before+50
		})
		return ok
	})
}

// check compares the accounts at the end, when nobody works any more.
func (q *queue) check(cut ...int) {
	q.t.Helper()
	q.with(func() {
		for n := 1; n <= q.jobs; n++ {
			times := 1
			if slices.Contains(cut, n) {
				times = 2
			}
			if q.done[n] != 1 || q.given[n] != times {
				q.t.Errorf("job %d was given away %d times and done %d times", n, q.given[n], q.done[n])
			}
		}
		if !slices.Equal(q.cut, cut) {
			q.t.Errorf("jobs %v were cut off, want %v", q.cut, cut)
		}
		q.t.Logf("%d jobs", q.jobs)
	})
}

// others reports whether, of these processes, all but one have other pids than before and run, and that one is the same and leaving.
func (r *rig) others(names []string, before map[string]int, busy string) bool {
	r.t.Helper()
	now := r.infos()
	for _, name := range names {
		if p := now[name]; name == busy {
			if p.PID != before[name] || p.State != process.Stopping {
				return false
			}
		} else if p.State != process.Running || p.PID == before[name] {
			return false
		}
	}
	return true
}

// lastOperation is the operation that began last.
func (r *rig) lastOperation() (id string) {
	r.t.Helper()
	list, err := r.Operations(r.t.Context())
	r.must(err)
	if len(list) == 0 {
		r.t.Fatal("no operation has begun")
	}
	return list[len(list)-1].ID
}

// TestQueueWorkers: workers of a queue that finish their jobs before they leave, however long that takes. Whatever is done to them, each job is done once;
// who is idle does not wait for who is busy, and nor do other programs.
func TestQueueWorkers(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	q := newQueue(t, r.path("desk"))
	conf := use(t, "worker", "queue worker", r.path("desk"), "numprocs=4\nstop_steps=TERM forever\nroll_max_unavailable=100%%\n") + bystander
	r.launch(nil, conf)
	r.working(q, 4)
	all := []string{"worker_0", "worker_1", "worker_2", "worker_3"}

	r.hold(q, "worker_3")
	_, out, ended := r.background(nil, "gracectl", "scale", "worker=2")
	r.until("who was not busy has left", func() bool { _, there := r.infos()["worker_2"]; return !there })
	if p := r.infos()["worker_3"]; p.State != process.Stopping {
		t.Errorf("who is busy is %s", p.State)
	}
	r.answersOthers()
	q.release("worker_3")
	r.ends(ended, out, 0, "done in")
	r.working(q, 2)
	r.gracectl(0, []string{"scale", "worker=4"}, "done in")
	r.working(q, 4)

	q.flow(false) // who is not busy is idle
	before := r.running()
	r.hold(q, "worker_1")
	_, out, ended = r.background(nil, "gracectl", "restart", "--rolling", "worker:*", "--max-unavailable", "2")
	r.until("the idle ones are replaced", func() bool { return r.others(all, before, "worker_1") })
	r.answersOthers()
	q.release("worker_1")
	r.ends(ended, out, 0, "done in")
	q.flow(true)
	r.working(q, 4)

	before = r.running()
	r.hold(q, "worker_0")
	r.write(strings.Replace(conf, "\nprocess_name", " two\nprocess_name", 1))
	_, out, ended = r.background(nil, "gracectl", "update", "worker")
	r.until("those that are not busy are replaced", func() bool { return r.others(all, before, "worker_0") })
	r.killDaemon()
	if !r.others(all, before, "worker_0") {
		t.Errorf("after the death of the daemon: %+v", r.infos())
	}
	r.answersOthers()
	q.release("worker_0")
	r.ends(ended, out, 0, "done in") // it has found the next daemon
	for _, name := range all {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", r.infos()[name].PID)); err != nil || !strings.HasSuffix(string(line), "\x00two\x00") {
			t.Errorf("%s runs %q, %v", name, line, err)
		}
	}
	r.working(q, 4)

	cut := r.hold(q, "worker_2")
	_, out, ended = r.background(nil, "gracectl", "stop", "worker:*")
	r.until("the others have stopped", func() bool {
		now := r.infos()
		return now["worker_0"].State == process.Stopped && now["worker_1"].State == process.Stopped && now["worker_3"].State == process.Stopped
	})
	if p := r.infos()["worker_2"]; p.State != process.Stopping {
		t.Errorf("who is busy is %s", p.State)
	}
	r.answersOthers()
	r.gracectl(0, []string{"stop", "--now", "worker:worker_2"}, "worker:worker_2: stopped\n")
	r.ends(ended, out, 0, "worker:worker_2: stopped")
	r.gracectl(0, []string{"start", "worker:*"})
	r.working(q, 4)

	q.flow(false)
	r.until("nothing is left to do", func() (ok bool) {
		q.with(func() { ok = len(q.idle) == 4 && len(q.again) == 0 })
		return ok
	})
	r.gracectl(0, []string{"stop", "worker:*"})
	q.check(cut)
}
