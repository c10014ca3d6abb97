// Package event knows Supervisor's events: their names and how these are related, what an event says (its payload), the envelope in which a
// listener gets it, and the protocol that listeners answer in (contract: events).
//
// It owns no queue and decides nothing about delivery: that is core's. It is pure and imports the standard library alone; core, config and
// daemon import it.
package event
