//! scratch
use bgad::{train::*, options::*, dataset::*, detector::*, backbone::*, evaluation::*};
use std::path::Path;
fn main(){
  let a: Vec<String>=std::env::args().collect();
  let data=Path::new(&a[1]); let split=Path::new(&a[2]);
  let mut o=TrainOptions::preset(Preset::Fast); let mut label=String::new(); let mut noanom=false;
  let mut scoring=Scoring::Frozen; let mut threads=0;
  for kv in &a[3..]{ label+=kv; label.push(' '); let (k,v)=kv.split_once('=').unwrap();
    let f=||v.parse::<f32>().unwrap(); let b=||v=="1";
    match k {"preset"=>if v=="reference"{o=TrainOptions::preset(Preset::Reference)},"sched"=>o.schedule=v.parse().unwrap(),"lr"=>o.learning_rate=f(),"white"=>o.whiten=b(),"beta"=>o.beta=f(),"tau"=>o.tau=f(),"nu"=>o.normalizer=f(),"lambda"=>o.lambda=f(),"focal"=>o.focal=b(),"cut"=>o.cutpaste=b(),"rep"=>o.repeats=f() as usize,"same"=>o.stepping=if b(){Stepping::SameSteps}else{Stepping::SamePositions},"n"=>o.step_positions=f() as usize,"batch"=>o.batch_images=f() as usize,"blocks"=>o.blocks=f() as usize,"seed"=>o.seed=f() as u64,"run"=>o.boundary=if b(){BoundaryRule::Running}else{BoundaryRule::Batch},"anom"=>noanom=!b(),"authors"=>scoring=if b(){Scoring::Authors}else{Scoring::Frozen},"input"=>o.input=v.parse().unwrap(),"threads"=>threads=f() as usize,_=>panic!("{k}")}}
  rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
  let isa=bgad_kernels::Isa::best(); let bb=Backbone::embedded(DEFAULT_BACKBONE,isa).unwrap();
  let mut s=Split::read(split,data).unwrap(); if noanom {s.anomalies.clear();}
  let o=o.check().unwrap();
  let t=std::time::Instant::now();
  let verbose=std::env::var("V").is_ok();
  let m=train(&Run{split:&s,backbone:&bb,isa,checkpoint:None,resume:false,stop:&||false},&o,&mut |e| match e {
     bgad::train::Event::Pass(p)=>if verbose {eprintln!("{} {:.2}s imgs {} {}",p.pass,p.secs,p.images,p.levels.iter().map(|l|format!("[{:.4} ml {:.4} pull {:.4} push {:.4} b {:?} {}]",l.loss.total,l.loss.likelihood,l.loss.pull,l.loss.push,l.boundary,l.steps)).collect::<Vec<_>>().join(" "))},
     bgad::train::Event::Skipped(e)=>eprintln!("skip {e}"), _=>()}).unwrap();
  let secs=t.elapsed().as_secs_f64();
  let d=Detector::new(&m,isa).unwrap();
  let e=evaluate(&d,&s.test_good,&s.test_bad,scoring,&mut|_|()).unwrap();
  let p=|x:Option<f64>|x.unwrap_or(f64::NAN)*100.;
  println!("{} {} | I {:.2} P {:.2} PRO {:.2} PRO05 {:.2} IAP {:.2} PAP {:.2} | {:.1}s eval {:.1}ms | good ok {} ng {} of {} bad ok {} ng {} of {}| {}",split.file_stem().unwrap().to_str().unwrap(),label,p(e.image_auroc),p(e.pixel_auroc),p(e.aupro),p(e.aupro_05),p(e.image_ap),p(e.pixel_ap),secs,e.secs_per_image*1e3,e.counts.good_ok,e.counts.good_ng,e.counts.good,e.counts.defective_ok,e.counts.defective_ng,e.counts.defective,e.by_type.iter().map(|(k,v)|format!("{k} {:.1}",p(*v))).collect::<Vec<_>>().join(" "));
}
