//! Our side of `cargo xtask bench`: one process, one case a line on stdin, `NANOSECONDS OPERATIONS` on stdout.
//!
//! ```text
//! peak                      register-only multiply-adds
//! flow-train C              one step of 4096 positions: fold, forward, loss, backward, Adam
//! flow-eval C               log-likelihoods of 4096 positions
//! features NAME [FILE]      three feature maps of one 256x256 image; weights from FILE if they are not built in
//! metrics                   AUPRO and pixel AUROC of 160 maps of 256x256
//! folder DIR N SIDE         not timed: writes N good pictures, some bad ones and their masks, laid out for training
//! ```
//!
//! Operations are those the mathematics needs (two for a multiply-add), not those that are executed: hidden layers made
//! again count once. A case is set up and run once before it is timed.

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use bgad::backbone::Backbone;
use bgad::boundary::Boundary;
use bgad::flow::{Flow, FlowShape, Positions, Prepared, Scratch, Tape};
use bgad::loss::{LossSettings, loss};
use bgad::metrics::PixelScores;
use bgad::position::AXIS_CHANNELS;
use bgad::weights::Weights;
use bgad_kernels::{Isa, adam, peak};
use image::{GrayImage, RgbImage};
use rand::{RngExt as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

/// Positions of a step.
const ROWS: usize = 4096;
/// Side of the map they come from.
const GRID: usize = 64;
/// Coupling blocks.
const BLOCKS: usize = 8;
/// Side of an image.
const INPUT: usize = 256;
/// A case is repeated for so long; the median counts.
const WINDOW: Duration = Duration::from_millis(150);

/// What is timed, and the operations it needs.
type Case = (Box<dyn FnMut()>, f64);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut threads = 1;
    while let Some(argument) = arguments.next() {
        // Cargo adds `--bench`.
        if argument == "--threads" {
            threads = arguments.next().ok_or("--threads needs a number")?.parse()?;
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let isa =
        Isa::named(bgad::instruction_set()?).ok_or("the library names an instruction set of this machine")?;
    let mut ready: HashMap<String, Case> = HashMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = answer(&line, isa, &mut ready).unwrap_or_else(|error| format!("error {error}"));
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

fn answer(line: &str, isa: Isa, ready: &mut HashMap<String, Case>) -> Result<String, Box<dyn Error>> {
    if !ready.contains_key(line) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut case = match words[..] {
            ["peak"] => multiply_adds(isa),
            ["flow-train", c] => flow_train(c.parse()?, isa)?,
            ["flow-eval", c] => flow_eval(c.parse()?)?,
            ["features", name] => features(Backbone::embedded(name)?),
            ["features", name, file] => features(Backbone::load(name, &Weights::open(file)?)?),
            ["metrics"] => metrics(),
            ["folder", folder, n, side] => {
                pictures(Path::new(folder), n.parse()?, side.parse()?)?;
                return Ok("0 0".to_owned());
            }
            _ => return Err(format!("unknown case `{line}`").into()),
        };
        (case.0)();
        ready.insert(line.to_owned(), case);
    }
    let (run, operations) = ready.get_mut(line).expect("just made");
    let (started, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || started.elapsed() < WINDOW {
        let one = Instant::now();
        run();
        times.push(one.elapsed().as_nanos());
    }
    times.sort_unstable();
    Ok(format!("{} {operations}", times[times.len() / 2]))
}

fn multiply_adds(isa: Isa) -> Case {
    const ROUNDS: usize = 200_000;
    let run = move || {
        black_box(peak::multiply_adds(isa, ROUNDS));
    };
    (Box::new(run), peak::operations(isa, ROUNDS))
}

struct Rows {
    x: Vec<f32>,
    column: Vec<u32>,
    row: Vec<u32>,
    mask: Vec<u8>,
}

impl Rows {
    fn new(channels: usize) -> Rows {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut at: Vec<u32> = (0..(GRID * GRID) as u32).collect();
        at.shuffle(&mut rng);
        at.truncate(ROWS);
        Rows {
            x: (0..ROWS * channels).map(|_| rng.random_range(-1.7..1.7)).collect(),
            column: at.iter().map(|i| i % GRID as u32).collect(),
            row: at.iter().map(|i| i / GRID as u32).collect(),
            mask: (0..ROWS).map(|i| u8::from(i % 50 == 0)).collect(),
        }
    }

    fn at(&self) -> Positions<'_> {
        Positions { column: &self.column, row: &self.row }
    }
}

fn initial(channels: usize) -> Flow {
    Flow::initial(FlowShape { channels, blocks: BLOCKS }, &mut ChaCha8Rng::seed_from_u64(0))
}

/// Multiply-adds of a position: `[W1x and W2 of all blocks, rotations]`.
fn per_position(shape: FlowShape) -> [usize; 2] {
    let (h, c) = (shape.hidden(), shape.channels);
    [shape.blocks * h * (shape.passive() + 2 * shape.active()), (shape.blocks - 1) * c * c]
}

fn tables(shape: FlowShape) -> usize {
    shape.blocks * 2 * GRID * AXIS_CHANNELS * shape.hidden()
}

fn flow_train(channels: usize, isa: Isa) -> Result<Case, Box<dyn Error>> {
    let (rows, mut flow) = (Rows::new(channels), initial(channels));
    let shape = flow.shape;
    let mut prepared = Prepared::new(&flow, (GRID, GRID), true)?;
    let mut tape = Tape::new(&prepared, ROWS);
    let mut gradient = vec![0.0; shape.len()];
    let (mut m, mut v, mut dl) = (gradient.clone(), gradient.clone(), vec![0.0; ROWS]);
    let mut steps = 0;
    let run = move || {
        prepared.update(&flow);
        tape.forward(&prepared, &rows.x, rows.at());
        let l = &tape.logp_per_channel;
        let mut hat: Vec<f32> =
            l.iter().zip(&rows.mask).filter(|(_, m)| **m == 0).map(|(l, _)| l / 10.0).collect();
        let boundary = Boundary::find(&mut hat, 0.05, 0.1);
        let settings = LossSettings { lambda: 1.0, normalizer: 10.0, focal: false };
        loss(l, &rows.mask, boundary, settings, &mut dl);
        tape.backward(&flow, &prepared, rows.at(), &dl, &mut gradient);
        steps += 1;
        let (params, gradients, m, v) = (&mut flow.parameters[..], &gradient[..], &mut m[..], &mut v[..]);
        adam::adam(isa, adam::Step { params, gradients, m, v, learning_rate: 1e-4, number: steps });
    };
    // Backward: the gradient of both factors of each product, but not of the features.
    let [layers, rotations] = per_position(shape);
    let first = shape.passive() * shape.hidden();
    let each = 3 * layers - first + 2 * rotations;
    Ok((Box::new(run), 2.0 * (ROWS * each + 2 * tables(shape)) as f64))
}

fn flow_eval(channels: usize) -> Result<Case, Box<dyn Error>> {
    let (rows, flow) = (Rows::new(channels), initial(channels));
    let prepared = Prepared::new(&flow, (GRID, GRID), false)?;
    let (mut scratch, mut out) = (Scratch::new(&prepared), vec![0.0; ROWS]);
    let operations = 2.0 * (ROWS * per_position(flow.shape).iter().sum::<usize>()) as f64;
    Ok((Box::new(move || prepared.likelihood(&rows.x, rows.at(), &mut scratch, &mut out)), operations))
}

fn features(backbone: Backbone) -> Case {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let rgb: Vec<f32> = (0..INPUT * INPUT * 3).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut workspace = backbone.workspace();
    workspace.spread(rayon::current_num_threads());
    let run = move || {
        black_box(backbone.features(&rgb, INPUT, INPUT, &mut workspace));
    };
    (Box::new(run), 0.0)
}

fn metrics() -> Case {
    const IMAGES: usize = 160;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let maps: Vec<Vec<f32>> =
        (0..IMAGES).map(|_| (0..INPUT * INPUT).map(|_| rng.random_range(0.0..9.0)).collect()).collect();
    let mask: Vec<u8> =
        (0..INPUT * INPUT).map(|i| u8::from(i / INPUT % 64 < 12 && i % INPUT % 90 < 20)).collect();
    let run = move || {
        let mut pixels = PixelScores::with_capacity(IMAGES * INPUT * INPUT);
        for (i, map) in maps.iter().enumerate() {
            pixels.push(map, (i % 2 == 0).then_some(&mask), INPUT, INPUT).expect("numbers");
        }
        let ranking = pixels.rank();
        black_box((ranking.auroc(), ranking.aupro(0.3)));
    };
    (Box::new(run), 0.0)
}

/// Grained pictures of `side` pixels: `n` good ones, a tenth as many (at least four) with a dark spot, and masks.
fn pictures(folder: &Path, n: usize, side: u32) -> Result<(), Box<dyn Error>> {
    let [good, bad, masks] = ["good", "bad", "masks"].map(|name| folder.join(name));
    for folder in [&good, &bad, &masks] {
        fs::create_dir_all(folder)?;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut draw = |spot: Option<(u32, u32)>| {
        RgbImage::from_fn(side, side, |x, y| {
            let wave = 60.0 * (x as f32 * 0.05).sin() * (y as f32 * 0.03).cos();
            let dark = spot.is_some_and(|(cx, cy)| x.abs_diff(cx) < side / 16 && y.abs_diff(cy) < side / 16);
            let value = 128.0 + wave + rng.random_range(-9.0..9.0) - if dark { 70.0 } else { 0.0 };
            image::Rgb([value, value * 0.9, value * 0.8].map(|v| v.clamp(0.0, 255.0) as u8))
        })
    };
    for i in 0..n {
        draw(None).save(good.join(format!("{i:05}.png")))?;
    }
    for i in 0..(n / 10).max(4) as u32 {
        let spot = (side / 4 + i * 37 % (side / 2), side / 4 + i * 53 % (side / 2));
        draw(Some(spot)).save(bad.join(format!("{i:05}.png")))?;
        let mask = GrayImage::from_fn(side, side, |x, y| {
            let inside = x.abs_diff(spot.0) < side / 16 && y.abs_diff(spot.1) < side / 16;
            image::Luma([if inside { 255 } else { 0 }])
        });
        mask.save(masks.join(format!("{i:05}.png")))?;
    }
    Ok(())
}
