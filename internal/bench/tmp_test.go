package main
import ("testing";"os")
func TestTmp(t *testing.T){
 dir,_:=os.MkdirTemp("/dev/shm","graced-bench-"); defer os.RemoveAll(dir)
 kid,err:=buildChild(dir); if err!=nil {t.Fatal(err)}
 o:=full; o.eventLines=200
 b:=&bench{options:o,dir:dir,child:kid}
 b.tools="/tmp/speed-bench/tools"
 b.contenders=[]*contender{{name:"graced",daemon:"/tmp/speed-bench/bin/graced"},{name:"supervisor",daemon:"/usr/bin/supervisord"}}
 for _,w:=range []string{"e","f","r","p"} { if os.Getenv("ROW")!=w {continue}
 switch w { case "e": err=b.eventSessions(t.Context()); case "f": err=b.floodSessions(t.Context()); case "r": err=b.rereadSessions(t.Context()); case "p": err=b.peerMemory(t.Context()) }
 if err!=nil {t.Fatal(err)} }
}
