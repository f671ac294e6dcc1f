//! What is measured: the series of each group, with the bars they are held to.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Series;
use super::worker::{Sample, Worker, run_program};
use crate::task::{self, Failure};

/// All groups.
pub(crate) const NAMES: [&str; 6] = ["flow", "backbone", "resnet", "train", "inspect", "metrics"];

/// How one sample comes about.
pub(crate) enum Runner {
    /// A line to a worker.
    Ask { worker: String, case: String },
    /// A program from start to end; its time is divided by `share` (images of a folder).
    Program { program: PathBuf, arguments: Vec<String>, share: f64 },
}

impl Runner {
    pub(crate) fn run(&self, workers: &mut HashMap<String, Worker>) -> Result<Sample, String> {
        match self {
            Runner::Ask { worker, case } => {
                workers.get_mut(worker).ok_or("the worker was not started")?.ask(case)
            }
            Runner::Program { program, arguments, share } => {
                // 1: an inspection found defects.
                let sample = run_program(program, arguments, &[0, 1])?;
                Ok(Sample { nanoseconds: sample.nanoseconds / share, ..sample })
            }
        }
    }
}

/// Pictures of the folder that is inspected, and their side.
const FOLDER: (usize, usize) = (48, 512);
/// Good pictures of the folder that is trained on.
const TRAIN: usize = 48;

/// The series of `group`; workers that they need are started.
pub(crate) fn series(
    group: &str,
    peers: Option<&Path>,
    scratch: &Path,
    workers: &mut HashMap<String, Worker>,
) -> Result<Vec<Series>, Failure> {
    let mut plan = Plan { peers, scratch, workers, series: Vec::new() };
    match group {
        "flow" => plan.flow()?,
        "backbone" => plan.backbone()?,
        "resnet" => plan.resnet()?,
        "train" => plan.train()?,
        "inspect" => plan.inspect()?,
        _ => plan.metrics()?,
    }
    Ok(plan.series)
}

struct Plan<'a> {
    peers: Option<&'a Path>,
    scratch: &'a Path,
    workers: &'a mut HashMap<String, Worker>,
    series: Vec<Series>,
}

impl Plan<'_> {
    fn flow(&mut self) -> Result<(), Failure> {
        let ours = self.ours(1, None)?;
        let torch = self.python(1)?;
        let peak = self.ask("register-only multiply-adds", "the machine", &ours, "peak");
        let bars = [("flow-train", [0.15, 0.22, 0.37, 0.48]), ("flow-eval", [0.15, 0.20, 0.35, 0.45])];
        for (case, bars) in bars {
            for (c, bar) in [24, 40, 120, 200].into_iter().zip(bars) {
                let (work, case) = (format!("{case}, C = {c}"), format!("{case} {c}"));
                let peer = torch.as_ref().map(|torch| self.ask(&work, "PyTorch + FrEIA", torch, &case));
                let mine = self.ask(&work, "bgad", &ours, &case);
                self.hold(mine, peer, bar);
                self.series[mine].peak = Some(peak);
            }
        }
        Ok(())
    }

    fn backbone(&mut self) -> Result<(), Failure> {
        let avx2 = self.ours(1, Some("avx2"))?;
        let b6 = self.scratch.join("b6.safetensors");
        for threads in [1, 2] {
            let (ours, python) = (self.ours(threads, None)?, self.python(threads)?);
            if let Some(python) = python.as_ref().filter(|_| threads == 1) {
                let made = self.said(python, &format!("weights tf_efficientnet_b6 {}", b6.display()));
                made.unwrap_or_else(|why| eprintln!("xtask: no random weights for B6: {why}"));
            }
            for (name, bar) in [("tf_efficientnet_lite2", 0.95), ("tf_efficientnet_b6", 0.90)] {
                let work = format!("{name}, threads: {threads}");
                let case = match name {
                    "tf_efficientnet_b6" if !b6.exists() => continue,
                    "tf_efficientnet_b6" => format!("features {name} {}", b6.display()),
                    _ => format!("features {name}"),
                };
                let mut onnx = None;
                if let Some(python) = &python {
                    onnx = Some(self.ask(&work, "ONNX Runtime", python, &format!("features-onnx {name}")));
                    self.ask(&work, "OpenVINO, f32", python, &format!("features-openvino {name}"));
                    if threads == 1 {
                        self.ask(&work, "PyTorch", python, &format!("features-torch {name}"));
                    }
                }
                let mine = self.ask(&work, "bgad", &ours, &case);
                self.hold(mine, onnx, bar);
                if threads == 1 {
                    let mine = self.ask(&work, "bgad, AVX2 forced", &avx2, &case);
                    self.hold(mine, onnx, 1.05);
                }
            }
        }
        Ok(())
    }

    /// Networks whose weights are not part of the library, with random ones, on one thread.
    fn resnet(&mut self) -> Result<(), Failure> {
        let (ours, avx2) = (self.ours(1, None)?, self.ours(1, Some("avx2"))?);
        let Some(python) = self.python(1)? else { return Ok(()) };
        for name in ["resnet18", "wide_resnet50_2"] {
            let file = self.scratch.join(format!("{name}.safetensors"));
            if let Err(why) = self.said(&python, &format!("weights {name} {}", file.display())) {
                eprintln!("xtask: no random weights for {name}: {why}");
                continue;
            }
            let (work, case) = (format!("{name}, threads: 1"), format!("features {name} {}", file.display()));
            let onnx = self.ask(&work, "ONNX Runtime", &python, &format!("features-onnx {name}"));
            self.ask(&work, "OpenVINO, f32", &python, &format!("features-openvino {name}"));
            for (engine, worker) in [("bgad", &ours), ("bgad, AVX2 forced", &avx2)] {
                let mine = self.ask(&work, engine, worker, &case);
                self.hold(mine, Some(onnx), 1.0);
            }
        }
        Ok(())
    }

    fn train(&mut self) -> Result<(), Failure> {
        let folder = self.folder("train", TRAIN, 256)?;
        let model = self.scratch.join("train.bgad");
        let mut one = None;
        for threads in [1, 2] {
            let words = ["train", &folder, "-o", &model.to_string_lossy(), "--schedule", "2x1"];
            let arguments = words.iter().map(|&word| word.to_owned());
            let arguments = arguments.chain(["--threads".to_owned(), threads.to_string()]).collect();
            let work = format!("train {TRAIN} good images, schedule 2x1");
            let engine = format!("bgad, threads: {threads}");
            let mine = self.program(&work, &engine, arguments, 1.0);
            if let Some(one) = one {
                self.series[mine].scaling = Some((one, 1.85));
            }
            one = Some(mine);
        }
        Ok(())
    }

    fn inspect(&mut self) -> Result<(), Failure> {
        let (count, side) = FOLDER;
        let folder = self.folder("inspect", count, side)?;
        let model = self.scratch.join("inspect.bgad").to_string_lossy().into_owned();
        let words = ["train", &folder, "-o", &model, "--schedule", "1x1", "--limit-normal", "8"];
        let arguments: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        run_program(&binary(), &arguments, &[0]).map_err(Failure::Bench)?;
        let good = format!("{folder}/good");
        let mut one = None;
        for threads in [1, 2] {
            let work = format!("an image of {count} PNG of {side}x{side}, threads: {threads}");
            let mut onnx = None;
            if let Some(python) = self.python(threads)? {
                let engine = "CFLOW lite0, ONNX Runtime";
                onnx = Some(self.ask(&work, engine, &python, &format!("inspect-onnx {good}")));
                let engine = "CFLOW lite0, OpenVINO f32";
                self.ask(&work, engine, &python, &format!("inspect-openvino {good}"));
            }
            let inspect = ["inspect", &model, &good, "--format", "jsonl", "--threads", &threads.to_string()]
                .map(str::to_owned)
                .to_vec();
            let mine = self.program(&work, "bgad lite2, process start included", inspect, count as f64);
            self.hold(mine, onnx, 0.35);
            if let Some(one) = one {
                self.series[mine].scaling = Some((one, 1.85));
            }
            one = Some(mine);
        }
        let small = self.folder("small", 1, 64)?;
        let inspect = ["inspect", &model, &format!("{small}/good/00000.png"), "--threads", "1"];
        self.program(
            "one image of 64x64",
            "bgad, process start to end",
            inspect.map(str::to_owned).to_vec(),
            1.0,
        );
        Ok(())
    }

    fn metrics(&mut self) -> Result<(), Failure> {
        let ours = self.ours(1, None)?;
        self.ask("AUPRO and pixel AUROC, 160 images of 256x256", "bgad", &ours, "metrics");
        Ok(())
    }

    /// Adds a series answered by a worker.
    fn ask(&mut self, work: &str, engine: &str, worker: &str, case: &str) -> usize {
        let runner = Runner::Ask { worker: worker.to_owned(), case: case.to_owned() };
        self.add(work, engine, runner)
    }

    /// Adds a series that is a run of the bgad binary.
    fn program(&mut self, work: &str, engine: &str, arguments: Vec<String>, share: f64) -> usize {
        self.add(work, engine, Runner::Program { program: binary(), arguments, share })
    }

    fn add(&mut self, work: &str, engine: &str, runner: Runner) -> usize {
        let (work, engine) = (work.to_owned(), engine.to_owned());
        self.series.push(Series {
            work,
            engine,
            runner,
            against: None,
            bar: None,
            scaling: None,
            peak: None,
        });
        self.series.len() - 1
    }

    fn hold(&mut self, mine: usize, against: Option<usize>, bar: f64) {
        (self.series[mine].against, self.series[mine].bar) = (against, Some(bar));
    }

    /// Starts our worker if it does not run yet; its name.
    fn ours(&mut self, threads: usize, isa: Option<&str>) -> Result<String, Failure> {
        let name = format!("ours {threads} {}", isa.unwrap_or_default());
        let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        command.current_dir(task::root()).args(["bench", "--quiet", "-p", "bgad", "--bench", "worker", "--"]);
        command.args(["--threads", &threads.to_string()]);
        isa.map(|isa| command.env("BGAD_ISA", isa));
        self.start(name, &mut command)
    }

    /// Starts the peers' worker if there is a Python environment and it does not run yet; its name.
    fn python(&mut self, threads: usize) -> Result<Option<String>, Failure> {
        let Some(peers) = self.peers else { return Ok(None) };
        let mut command = Command::new(peers.join("bin/python"));
        command.current_dir(task::root()).args(["-W", "ignore", "tools/peers/bench_worker.py"]);
        command.args(["--threads", &threads.to_string(), "--scratch"]).arg(self.scratch);
        for variable in ["OMP_NUM_THREADS", "MKL_NUM_THREADS"] {
            command.env(variable, threads.to_string());
        }
        self.start(format!("python {threads}"), &mut command).map(Some)
    }

    fn start(&mut self, name: String, command: &mut Command) -> Result<String, Failure> {
        if !self.workers.contains_key(&name) {
            let worker = Worker::start(command)
                .map_err(|source| Failure::Start { command: shown(command), source })?;
            self.workers.insert(name.clone(), worker);
        }
        Ok(name)
    }

    fn said(&mut self, worker: &str, line: &str) -> Result<(), String> {
        self.workers.get_mut(worker).ok_or("the worker was not started")?.ask(line).map(drop)
    }

    /// A folder of drawn pictures, made anew if it is not there.
    fn folder(&mut self, name: &str, count: usize, side: usize) -> Result<String, Failure> {
        let folder = self.scratch.join(format!("{name}-{count}-{side}"));
        let shown = folder.to_string_lossy().into_owned();
        if !folder.exists() {
            let ours = self.ours(1, None)?;
            self.said(&ours, &format!("folder {shown} {count} {side}")).map_err(Failure::Bench)?;
        }
        Ok(shown)
    }
}

/// The release binary, which was built a moment ago.
fn binary() -> PathBuf {
    let target = task::scratch("").join("../release");
    target.join(format!("bgad{}", std::env::consts::EXE_SUFFIX))
}

fn shown(command: &Command) -> String {
    let words: Vec<OsString> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect();
    words.join(&OsString::from(" ")).to_string_lossy().into_owned()
}
