//! `bgad watch` from outside.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scene::{Scene, trained};
use crate::serve::Running;

fn scene(name: &str) -> Scene {
    let scene = Scene::new(name);
    fs::copy(trained().path("m.bgad"), scene.path("m.bgad")).unwrap();
    fs::create_dir(scene.path("frames")).unwrap();
    scene
}

fn watch(scene: &Scene, more: &[&str]) -> Running {
    let usual = ["watch", "frames", "--model", "m.bgad", "--out", "out", "--settle", "0.1"];
    Running::start(scene, &[&usual, more].concat())
}

fn records(scene: &Scene) -> Vec<Value> {
    let text = fs::read_to_string(scene.path("out/records.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

#[track_caller]
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn wait_for_records(scene: &Scene, count: usize) -> Vec<Value> {
    wait_for("records", || Some(records(scene)).filter(|records| records.len() >= count))
}

/// Puts a picture into the folder at once.
fn arrive(scene: &Scene, from: &str, name: &str) {
    let partly = scene.path("arriving.tmp");
    fs::copy(trained().path(from), &partly).unwrap();
    fs::rename(partly, scene.path("frames").join(name)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_picture_is_judged_once_also_when_killed() {
    let scene = scene("watched");
    let running = watch(&scene, &["--keep-ok", "0"]);
    arrive(&scene, "data/good/000.png", "a.png");
    arrive(&scene, "data/bad/spot/000.png", "b.png");
    fs::write(scene.path("frames/c.png"), b"no picture").unwrap();
    let found = wait_for_records(&scene, 3);
    let of = |file: &str| found.iter().find(|record| record["file"] == file).expect("a record").clone();
    assert_eq!(
        (of("a.png")["part_id"].as_str(), of("a.png")["state"].as_str()),
        (Some("a"), Some("completed"))
    );
    assert_eq!((of("c.png")["state"].as_str(), &of("c.png")["verdict"]), (Some("failed"), &Value::Null));
    // As `bgad inspect` says.
    let line = trained().run(&["inspect", "m.bgad", "data/bad/spot/000.png", "--format", "jsonl"]).exits(1);
    let line: Value = serde_json::from_str(&line.stdout).unwrap();
    assert_eq!((&of("b.png")["score"], &of("b.png")["verdict"]), (&line["score"], &line["verdict"]));
    assert_eq!(of("b.png")["regions"], line["regions"]);
    running.kill();
    // A line that the kill cut, as it may.
    let mut file = fs::OpenOptions::new().append(true).open(scene.path("out/records.jsonl")).unwrap();
    file.write_all(b"{\"id\":\"cu").unwrap();
    arrive(&scene, "data/good/001.png", "d.png");
    let running = watch(&scene, &["--keep-ok", "0"]);
    let found = wait_for_records(&scene, 4);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(records(&scene).len(), 4, "none twice");
    assert_eq!(found[3]["file"], "d.png");
    running.terminate();
    assert_eq!(running.exit_code(), Some(0));
    let class = of("b.png")["verdict"].as_str().unwrap().to_owned();
    let kept = |class: &str| names(&scene.path("out/images").join(class));
    let id = of("b.png")["id"].as_str().unwrap().to_owned();
    let of_b = kept(&class);
    assert!(of_b.len() == 2 && of_b[0].ends_with(&format!("{id}.json")), "{of_b:?}");
    assert!(of_b[1].ends_with(&format!("{id}.png")), "{of_b:?}");
    assert_eq!(kept("FAULT").len(), 2);
    assert_eq!(kept("OK"), Vec::<String>::new());
}

#[test]
fn no_part_is_passed_over_for_its_name_or_size() {
    let scene = scene("watched_names");
    let _running = watch(&scene, &[]);
    arrive(&scene, "data/bad/spot/000.png", "IMG_0001");
    arrive(&scene, "data/bad/stain/001.png", "b.jfif");
    fs::write(scene.path("frames/c.gif"), b"GIF89a").unwrap();
    // Larger than any picture that is read, and no reason for the line to stand still.
    fs::File::create(scene.path("d.tmp")).unwrap().set_len(2 << 30).unwrap();
    fs::rename(scene.path("d.tmp"), scene.path("frames/d.png")).unwrap();
    let found = wait_for_records(&scene, 4);
    let of = |file: &str| found.iter().find(|record| record["file"] == file).expect("a record");
    for file in ["IMG_0001", "b.jfif"] {
        assert_eq!(of(file)["state"].as_str(), Some("completed"));
        assert!(of(file)["verdict"].as_str().is_some_and(|verdict| verdict != "OK"), "{}", of(file));
    }
    for (file, says) in [("c.gif", "a GIF file"), ("d.png", "a file of at most 1024 MiB")] {
        assert_eq!((of(file)["state"].as_str(), &of(file)["verdict"]), (Some("failed"), &Value::Null));
        assert!(of(file)["error"].as_str().is_some_and(|error| error.contains(says)), "{}", of(file));
    }
    // The line goes on.
    arrive(&scene, "data/good/000.png", "e");
    wait_for_records(&scene, 5);
}

#[test]
fn a_trigger_gets_its_own_frame_or_a_fault() {
    let scene = scene("triggered");
    arrive(&scene, "data/good/000.png", "old.png");
    let running = watch(&scene, &["--triggered", "--trigger-timeout", "1.5"]);
    // Neither what was there at the start nor what comes untriggered is judged for a part.
    arrive(&scene, "data/good/001.png", "stray.png");
    std::thread::sleep(Duration::from_millis(500));
    let message = running.post("/trigger?part_id=p1", b"").refused(500);
    assert!(message.contains("no frame came"), "{message}");
    let record = std::thread::scope(|scope| {
        let asked = scope.spawn(|| running.post("/trigger?part_id=p2", b""));
        std::thread::sleep(Duration::from_millis(300));
        arrive(&scene, "data/bad/stain/001.png", "p2.png");
        asked.join().unwrap().ok().json()
    });
    assert_eq!((record["part_id"].as_str(), record["file"].as_str()), (Some("p2"), Some("p2.png")));
    let judged: Vec<String> = records(&scene)
        .iter()
        .filter(|record| record["state"] == "completed")
        .map(|record| record["file"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(judged, ["p2.png"]);
}

#[test]
fn a_full_disk_is_a_fault_and_what_it_kept_from_being_told_is_told_later() {
    let scene = scene("full");
    fs::create_dir(scene.path("out")).unwrap();
    // Every write to it fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", scene.path("out/records.jsonl")).unwrap();
    let running = watch(&scene, &[]);
    arrive(&scene, "data/good/000.png", "a.png");
    wait_for("a fault", || {
        let text = String::from_utf8(running.get("/metrics").ok().body).unwrap();
        text.contains("bgad_faults_total{reason=\"line\"}").then_some(())
    });
    running.kill();
    fs::remove_file(scene.path("out/records.jsonl")).unwrap();
    let _running = watch(&scene, &[]);
    let found = wait_for_records(&scene, 1);
    assert_eq!((found.len(), found[0]["file"].as_str()), (1, Some("a.png")));
}

#[test]
fn the_webhook_tells_each_record_in_order_however_often_it_fails() {
    let scene = scene("hooked");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/records", listener.local_addr().unwrap());
    let (send, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                let lower = line.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            // The first delivery fails, and the second is not answered at all.
            if n == 1 {
                continue;
            }
            let status = if n == 0 { "503 Service Unavailable" } else { "200 OK" };
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            if n > 0 && send.send(serde_json::from_slice::<Value>(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    let running = watch(&scene, &["--webhook", &url]);
    for (from, name) in [("data/good/000.png", "a.png"), ("data/good/001.png", "b.png")] {
        arrive(&scene, from, name);
        wait_for("a record", || records(&scene).iter().any(|record| record["file"] == name).then_some(()));
    }
    let get = || received.recv_timeout(Duration::from_secs(60)).expect("a delivery");
    assert_eq!((get()["file"].as_str(), get()["file"].as_str()), (Some("a.png"), Some("b.png")));
    running.kill();
    // Another run goes on where this one was.
    let _running = watch(&scene, &["--webhook", &url]);
    arrive(&scene, "data/good/002.png", "c.png");
    // The kill may have come between the answer to b.png and the note of it: then it comes once more.
    let next = get();
    let next = if next["file"] == "b.png" { get() } else { next };
    assert_eq!(next["file"].as_str(), Some("c.png"));
}
