package contract
import ("os";"encoding/json";"fmt";"sync")
var dumpMu sync.Mutex
func dumpGot(p pairing, s step) { if os.Getenv("CDUMP")==""||!p.ourDaemon||!p.ourCtl {return}
 dumpMu.Lock(); defer dumpMu.Unlock()
 f,_ := os.OpenFile(os.Getenv("CDUMP"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); b,_ := json.Marshal(map[string]any{"pos":s.pos,"lines":s.lines}); fmt.Fprintln(f,string(b)); f.Close() }
