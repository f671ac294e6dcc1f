//! `bgad serve` from outside: real sockets, real requests.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use bgad::overlay::{self, Look};
use bgad::record::{Capture, Recipe};
use bgad::{Detector, Frame, Model};
use serde_json::{Value, json};

use crate::scene::{Scene, trained};

/// A running server.
pub(crate) struct Running {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) http: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Answer {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// An error in the form that clients parse.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert!(
            self.headers.to_lowercase().contains("content-type: application/json\r\n"),
            "{}",
            self.headers
        );
        self.json()["error"].as_str().expect("an error").to_owned()
    }
}

impl Running {
    /// Starts the binary and waits until it says where it listens.
    #[track_caller]
    pub(crate) fn start(scene: &Scene, arguments: &[&str]) -> Running {
        let mut child = scene
            .command(&[arguments, &["--http", "127.0.0.1:0"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let http = line.split_once("http://").unwrap_or_else(|| panic!("no address in `{line}`")).1;
        let http = http.split_whitespace().next().expect("an address").to_owned();
        Running { child, http }
    }

    #[track_caller]
    pub(crate) fn serve(scene: &Scene, more: &[&str]) -> Running {
        Running::start(scene, &[&["serve", "m.bgad", "--grpc", "127.0.0.1:0"], more].concat())
    }

    pub(crate) fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.http).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.open();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.http,
            body.len()
        );
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        stream.write_all(format!("{head}\r\n").as_bytes()).expect("sent");
        // A server that refuses early closes while we send; its answer counts.
        let _ = stream.write_all(body);
        read_answer(&mut stream)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], &[])
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.ask("POST", path, &[], body)
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut all = Vec::new();
    // A connection that is reset after the answer has still answered.
    let _ = stream.read_to_end(&mut all);
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 2;
    let headers = String::from_utf8(all[..end].to_vec()).expect("text");
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut body = all[end + 2..].to_vec();
    if headers.to_lowercase().contains("transfer-encoding: chunked") {
        body = joined(&body);
    }
    Answer { status, headers, body }
}

/// The content of a chunked body.
fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&body[..end]).ok().and_then(|n| usize::from_str_radix(n, 16).ok());
        let length = length.expect("a length");
        all.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
    all
}

/// A request for an inference with image files in JSON.
fn infer_request(files: &[Vec<u8>], outputs: &[&str]) -> Vec<u8> {
    let data: Vec<String> =
        files.iter().map(|file| base64::engine::general_purpose::STANDARD.encode(file)).collect();
    let outputs: Vec<Value> = outputs.iter().map(|name| json!({ "name": name })).collect();
    let image = json!({
        "name": "image", "shape": [files.len()], "datatype": "BYTES",
        "parameters": { "content_type": "base64" }, "data": data,
    });
    json!({ "id": "7", "inputs": [image], "outputs": outputs }).to_string().into_bytes()
}

/// Numbers of 32 bits as they were written, so that equal means equal in every bit.
fn bits(value: &Value) -> u32 {
    (value.as_f64().expect("a number") as f32).to_bits()
}

#[test]
fn answers_equal_those_of_inspect_bit_for_bit() {
    let scene = trained();
    let running = Running::serve(scene, &[]);
    let lines =
        scene.run(&["inspect", "m.bgad", "data/bad", "data/good/000.png", "--format", "jsonl"]).exits(1);
    let lines: Vec<Value> =
        lines.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 9);
    let files: Vec<Vec<u8>> = lines
        .iter()
        .map(|line| fs::read(scene.path(line["file"].as_str().expect("a file"))).expect("a picture"))
        .collect();
    let same = |line: &Value, verdict: &Value, score: &Value, regions: &Value| {
        assert_eq!((bits(score), verdict), (bits(&line["score"]), &line["verdict"]), "{line}");
        assert_eq!(regions, &line["regions"], "{line}");
    };
    for (line, file) in lines.iter().zip(&files) {
        let record = running.post("/inspect?part_id=p1", file).ok().json();
        same(line, &record["verdict"], &record["score"], &record["regions"]);
        assert_eq!((&record["part_id"], &record["version"]), (&json!("p1"), &json!("1")));
        let part = "--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x.png\"\r\n\r\n";
        let form = [part.as_bytes(), file, b"\r\n--B--\r\n"].concat();
        let of_form =
            running.ask("POST", "/inspect", &["Content-Type: multipart/form-data; boundary=B"], &form);
        assert_eq!(of_form.ok().json()["score"], record["score"]);
    }
    // All of them as one request, and nothing but what was asked for.
    let outputs = ["regions", "score", "verdict", "pred_label"];
    let answer = running.post("/v2/models/m/infer", &infer_request(&files, &outputs)).ok().json();
    let names: Vec<&str> =
        answer["outputs"].as_array().unwrap().iter().filter_map(|o| o["name"].as_str()).collect();
    assert_eq!((names, &answer["id"]), (outputs.to_vec(), &json!("7")));
    for (i, line) in lines.iter().enumerate() {
        let of = |output: usize| &answer["outputs"][output]["data"][i];
        let regions: Value = serde_json::from_str(of(0).as_str().unwrap()).unwrap();
        same(line, of(2), of(1), &regions);
        assert_eq!(of(3).as_bool(), Some(line["verdict"] != "OK"));
    }
}

#[test]
fn the_picture_of_a_result_is_that_of_the_library() {
    let scene = trained();
    let running = Running::serve(scene, &[]);
    let bytes = fs::read(scene.path("m.bgad")).expect("a model");
    let detector = Detector::open(&scene.path("m.bgad")).expect("a model");
    // A server calls a model by the name of its file without extension.
    let recipe = Recipe::of("m", &bytes, detector.header());
    let first = |folder: &Path| {
        let entry = fs::read_dir(folder).expect("a folder").next().expect("an entry");
        entry.expect("an entry").path()
    };
    for path in [first(&first(&scene.path("data/bad"))), scene.path("data/good/000.png")] {
        let file = fs::read(&path).expect("a picture");
        let frame = Frame::decode(&file).expect("a picture");
        let found = detector.inspect(&frame).expect("a verdict");
        let before = SystemTime::now();
        let answer = running.ask("POST", "/inspect?part_id=p1", &["Accept: image/png"], &file).ok();
        // The caption has the second in which the verdict was there.
        let mut seconds = (0..=before.elapsed().expect("time goes on").as_secs() + 1)
            .map(|second| before + Duration::from_secs(second));
        let is_drawn = |created: SystemTime| {
            let part_id = Some("p1".to_owned());
            let capture = Capture { part_id, created: Some(created), ..Capture::default() };
            let look = Look { caption: Some(overlay::caption(&recipe, &capture)), ..Look::default() };
            let picture = overlay::draw(&frame, &found, &recipe, &look).expect("a picture");
            picture.to_png().expect("a PNG") == answer.body
        };
        assert!(seconds.any(is_drawn), "{}: another picture", path.display());
        let head = |name: &str| {
            let line = answer.headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or_else(|| panic!("no {name} in {}", answer.headers)).to_owned()
        };
        assert_eq!((head("content-type"), head("vary")), ("image/png".to_owned(), "accept".to_owned()));
        assert_eq!(head("bgad-verdict"), found.verdict.to_string());
        assert_eq!(head("bgad-score").parse::<f32>().expect("a score").to_bits(), found.score.to_bits());
        assert_eq!(
            (head("bgad-model-sha256"), head("bgad-version")),
            (recipe.model.sha256.clone(), "1".to_owned())
        );
        assert_eq!(head("bgad-result-id").len(), 32);
    }
    running.ask("POST", "/inspect", &["Accept: image/png"], b"no picture").refused(400);
}

#[test]
fn every_refusal_is_json_that_clients_can_parse() {
    let running = Running::serve(trained(), &["--body-limit", "0.1MB"]);
    assert!(running.get("/nothing").refused(404).contains("/nothing"));
    assert!(running.get("/v2/models/other").refused(404).contains("`other`"));
    assert!(running.get("/v2/models/m/versions/9").refused(404).contains("it has 1"));
    running.get("/v2/models/m/infer").refused(405);
    let large = vec![0; 200_000];
    assert!(running.post("/inspect", &large).refused(413).contains("--body-limit"));
    // Packed small, but not small.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 10_000_000]).unwrap();
    let packed = gzip.finish().unwrap();
    assert!(packed.len() < 20_000);
    running.ask("POST", "/inspect", &["Content-Encoding: gzip"], &packed).refused(413);
    running.ask("POST", "/inspect", &["Content-Encoding: br"], &packed).refused(415);
    assert!(running.post("/inspect", b"no picture").refused(400).contains("begins with"));
    running.ask("POST", "/inspect", &["Accept: image/webp"], b"x").refused(406);
    running.post("/inspect?colour=red", b"x").refused(400);
    running.ask("GET", "/v2", &["Origin: http://elsewhere.example"], &[]).refused(403);
    for junk in [
        &b""[..],
        b"{",
        b"[]",
        b"{\"inputs\":[]}",
        b"{\"inputs\":[{\"name\":\"image\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}]}",
    ] {
        running.post("/v2/models/m/infer", junk).refused(400);
    }
    running.ask("POST", "/v2/models/m/infer", &["Inference-Header-Content-Length: 99"], b"{}").refused(400);
    assert_eq!(running.get("/v2/health/ready").ok().json(), json!({ "live": true, "ready": true }));
    let text = String::from_utf8(running.get("/metrics").ok().body).unwrap();
    assert!(
        text.contains("# HELP bgad_requests_total ") && !text.contains("# EOF"),
        "the older format: {text}"
    );
    let accept = ["Accept: application/openmetrics-text; version=1.0.0"];
    let text = String::from_utf8(running.ask("GET", "/metrics", &accept, b"").ok().body).unwrap();
    for name in [
        "bgad_requests_total{model=\"m\"",
        "bgad_rejected_total{reason=\"invalid\"}",
        "bgad_model_info{model=\"m\"",
        "# EOF",
    ] {
        assert!(text.contains(name), "no {name} in {text}");
    }
}

#[test]
fn a_full_queue_refuses_and_sigterm_finishes_what_was_taken() {
    let scene = trained();
    let running = Running::serve(scene, &["--threads", "1", "--queue", "2"]);
    let file = fs::read(scene.path("data/good/000.png")).unwrap();
    let many = infer_request(&vec![file; 40], &["score"]);
    // Each request is longer than the queue: taken when the queue is empty, refused otherwise.
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..6).map(|_| scope.spawn(|| running.post("/v2/models/m/infer", &many))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((1..6).contains(&taken), "{taken} of 6");
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        assert!(answer.headers.to_lowercase().contains("retry-after: 1"), "{}", answer.headers);
        assert!(answer.refused(503).contains("full"));
    }
    let mut stream = running.open();
    let head =
        format!("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", many.len());
    stream.write_all(&[head.as_bytes(), &many].concat()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    running.terminate();
    assert_eq!(read_answer(&mut stream).ok().json()["outputs"][0]["shape"], json!([40]));
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn others_are_kept_out() {
    let scene = trained();
    let refused = scene.run(&["serve", "m.bgad", "--http", "0.0.0.0:0"]).exits(2);
    refused.says(&["0.0.0.0:0 can be reached from other machines", "--token-file", "--insecure"]);
    let secrets = Scene::new("secrets");
    let file = |name: &str, text: &str| {
        fs::write(secrets.path(name), text).unwrap();
        secrets.path(name).display().to_string()
    };
    scene.run(&["serve", "m.bgad", "--token-file", &file("short", "abc\n")]).exits(2).says(&["at least 16"]);
    let (token, admin) = (file("token", "0123456789abcdef\n"), file("admin", "fedcba9876543210\n"));
    let running = Running::serve(scene, &["--token-file", &token, "--admin-token-file", &admin]);
    let with = |secret: &str, path: &str| {
        let method = if path.contains("load") { "POST" } else { "GET" };
        running.ask(method, path, &[&format!("Authorization: Bearer {secret}")], &[])
    };
    running.get("/v2/models/m").refused(401);
    running.get("/metrics").refused(401);
    with("0123456789abcdeX", "/v2/models/m").refused(401);
    with("0123456789abcdef", "/v2/models/m").ok();
    running.get("/v2/health/ready").ok();
    with("0123456789abcdef", "/v2/repository/models/m/unload").refused(403);
    with("fedcba9876543210", "/v2/repository/models/m/unload").ok();
    with("0123456789abcdef", "/v2/models/m").refused(400);
    with("fedcba9876543210", "/v2/repository/models/m/load").ok();
    with("0123456789abcdef", "/v2/models/m/ready").ok();
}

#[test]
fn a_new_version_takes_over_once_it_is_sound_and_can_be_taken_back() {
    let models = Scene::new("repository");
    let model = fs::read(trained().path("m.bgad")).unwrap();
    fs::write(models.make_way("models/part/1/model.bgad"), &model).unwrap();
    let running = Running::start(
        &models,
        &["serve", "--repository", "models", "--grpc", "127.0.0.1:0", "--poll", "0.1"],
    );
    let until = |want: &str, look: &dyn Fn() -> String| {
        let started = Instant::now();
        while look() != want {
            assert!(started.elapsed() < Duration::from_secs(60), "expected {want}, found {}", look());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let state = |version: &str| {
        let index = running.post("/v2/repository/index", b"").ok().json();
        let line = index.as_array().unwrap().iter().find(|line| line["version"] == version).cloned();
        line.map_or(String::new(), |line| line["state"].as_str().unwrap().to_owned())
    };
    let file = fs::read(trained().path("data/good/000.png")).unwrap();
    let judged_by = || running.post("/inspect", &file).ok().json()["version"].as_str().unwrap().to_owned();
    assert_eq!(judged_by(), "1");
    // Junk, and a model that was cut, are refused; the old version stays.
    fs::write(models.make_way("models/part/2/model.bgad"), &model[..model.len() / 2]).unwrap();
    until("UNAVAILABLE", &|| state("2"));
    assert_eq!(judged_by(), "1");
    fs::write(models.path("models/part/2/model.bgad"), &model).unwrap();
    until("2", &judged_by);
    let load = |body: &[u8]| running.post("/v2/repository/models/part/load", body);
    load(b"{\"parameters\":{\"version\":\"1\"}}").ok();
    assert_eq!(judged_by(), "1");
    assert!(load(b"{\"parameters\":{\"version\":\"7\"}}").refused(400).contains("`7`"));
    load(b"").ok();
    assert_eq!(judged_by(), "2");
    // A model that gives other numbers than where it was trained does not take over.
    let mut other = Model::from_bytes(model).expect("a model");
    other.header.test_vectors[1].score += 1.0;
    fs::write(models.make_way("models/part/3/model.bgad"), other.to_bytes()).unwrap();
    // A file that is still being written is refused for other reasons.
    until("test image 2 scores ", &|| {
        let index = running.post("/v2/repository/index", b"").ok().json();
        let line = index.as_array().unwrap().iter().find(|line| line["version"] == "3").cloned();
        let reason = line.and_then(|line| line["reason"].as_str().map(str::to_owned)).unwrap_or_default();
        reason.find("test image 2 scores ").map_or(reason.clone(), |at| reason[at..][..20].to_owned())
    });
    assert_eq!(state("3"), "UNAVAILABLE");
    assert_eq!(judged_by(), "2");
    fs::write(models.path("models/part/2/model.bgad"), b"junk").unwrap();
    until("refused", &|| {
        let index = running.post("/v2/repository/index", b"").ok().json();
        let refused =
            index.as_array().unwrap().iter().any(|l| l["version"] == "2" && l["state"] == "UNAVAILABLE");
        if refused { "refused".to_owned() } else { String::new() }
    });
    assert_eq!(judged_by(), "2", "what was loaded serves on");
    // Names lead to no file.
    for path in ["/v2/models/..%2f..%2fetc/ready", "/v2/models/part/versions/..%2f1/ready"] {
        running.get(path).refused(404);
    }
}

#[test]
fn answers_of_operators_are_kept() {
    let scene = Scene::new("operators");
    fs::copy(trained().path("m.bgad"), scene.path("m.bgad")).unwrap();
    let running = Running::serve(&scene, &["--feedback", "answers"]);
    running.post("/feedback", br#"{"part_id":"p1","answer":"defect","operator":"ada"}"#).ok();
    for wrong in [&br#"{"part_id":"p1","answer":"maybe"}"#[..], br#"{"part_id":"","answer":"good"}"#, b"{}"] {
        running.post("/feedback", wrong).refused(400);
    }
    let kept = fs::read_to_string(scene.path("answers/feedback.jsonl")).unwrap();
    let line: Value = serde_json::from_str(&kept).expect("one line");
    assert_eq!((&line["part_id"], &line["answer"]), (&json!("p1"), &json!("defect")));
}

#[test]
fn the_openapi_file_has_the_routes_that_there_are() {
    let running = Running::serve(trained(), &["--feedback", "answers-openapi"]);
    let file = running.get("/openapi.json").ok().json();
    for (path, operations) in file["paths"].as_object().unwrap() {
        let real = path.replace("{model}", "m").replace("{version}", "1");
        for method in ["get", "post", "delete"] {
            let found = running.ask(&method.to_uppercase(), &real, &[], &[]).status;
            let said = &operations[method];
            if real == "/trigger" {
                assert_eq!(found, 404, "a route of `bgad watch`");
            } else if said.is_null() {
                assert_eq!(found, 405, "{method} {real}");
            } else {
                assert!(!said["responses"][found.to_string()].is_null(), "{method} {real} answers {found}");
            }
        }
    }
}
