// Package config reads Supervisor's configuration dialect: Load for the daemon, LoadCtl for the client, ParseDaemonArgs for the
// daemon's command line. What comes out is data: typed options, process groups ready to run, and warnings with their place.
//
// It owns the dialect in every detail (the INI reader, the % expansion, the environment grammar, the value types and their error
// texts) and never touches the machine: files, users and the environment come in through Machine. It compares nothing, starts nothing
// and logs nothing. It imports process and shlex; daemon and the mains may import it.
package config
