//! Files are made here with the `image` crate; each way to be wrong has a test of its own.

use std::error::Error;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ::image::codecs::jpeg::JpegEncoder;
use ::image::{ExtendedColorType, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, Rgb, Rgba};

use super::*;

mod masks;
mod several;

/// A folder of its own for one test, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("bgad-image-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    encode(image, ImageFormat::Png)
}

fn size(height: usize, width: usize) -> InputSize {
    InputSize { height, width, keep_aspect: false }
}

fn gradient(width: u32, height: u32) -> ::image::RgbImage {
    ImageBuffer::from_fn(width, height, |x, y| Rgb([(x * 7 % 256) as u8, (y * 5 % 256) as u8, 40]))
}

/// A baseline TIFF of one strip, little-endian, without compression.
fn tiff(
    width: u32,
    height: u32,
    bits: u16,
    samples: u16,
    float: bool,
    extra: &[(u16, u16)],
    data: &[u8],
) -> Vec<u8> {
    let mut entries: Vec<(u16, u16, u32, u32)> = vec![
        (256, 4, 1, width),
        (257, 4, 1, height),
        (259, 3, 1, 1),
        (262, 3, 1, if samples == 1 { 1 } else { 2 }),
        (273, 4, 1, 0),
        (277, 3, 1, u32::from(samples)),
        (278, 4, 1, height),
        (279, 4, 1, data.len() as u32),
    ];
    entries.extend(extra.iter().map(|&(tag, value)| (tag, 3, 1, u32::from(value))));
    let directory = 8;
    let count = entries.len() + 2;
    let after = directory + 2 + 12 * count as u32 + 4;
    // Three 16-bit values do not fit into an entry; they follow the directory.
    let triple = |at: u32, value: u32| if samples == 1 { value } else { at };
    entries.push((258, 3, u32::from(samples), triple(after, u32::from(bits))));
    entries.push((339, 3, u32::from(samples), triple(after + 6, if float { 3 } else { 1 })));
    entries.sort_unstable();

    let mut file = b"II*\0".to_vec();
    file.extend(directory.to_le_bytes());
    file.extend((count as u16).to_le_bytes());
    for (tag, kind, count, mut value) in entries {
        if tag == 273 {
            value = after + 12;
        }
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    for value in
        [bits, bits, bits, 1 + 2 * u16::from(float), 1 + 2 * u16::from(float), 1 + 2 * u16::from(float)]
    {
        file.extend(value.to_le_bytes());
    }
    file.extend(data);
    file
}

fn problem(bytes: &[u8]) -> ImageProblem {
    let error = InputImage::decode(bytes, size(4, 4)).unwrap_err();
    assert!(error.path.is_none());
    error.problem
}

#[test]
fn at_its_own_size_an_image_keeps_its_values() {
    let original = gradient(20, 16);
    let image = InputImage::decode(&png(original.clone()), size(16, 20)).unwrap();
    assert_eq!(image.to_rgb8(), original.into_raw());
    assert_eq!(image.size(), size(16, 20));
}

#[test]
fn every_colour_type_gives_the_same_three_channels() {
    let grey = [10u8, 200, 128];
    let wide = grey.map(|v| u16::from(v) * 257);
    let row = |v: &dyn Fn(usize) -> [f32; 3]| (0..3).flat_map(v).collect::<Vec<f32>>();
    let expected = row(&|i| [f32::from(grey[i]) / 255.0; 3]);

    let at = |x: u32| grey[x as usize];
    let at16 = |x: u32| wide[x as usize];
    let images: Vec<(&str, DynamicImage)> = vec![
        ("L8", ImageBuffer::from_fn(3, 1, |x, _| Luma([at(x)])).into()),
        ("LA8", ImageBuffer::from_fn(3, 1, |x, _| ::image::LumaA([at(x), 0])).into()),
        ("RGB8", ImageBuffer::from_fn(3, 1, |x, _| Rgb([at(x); 3])).into()),
        ("RGBA8", ImageBuffer::from_fn(3, 1, |x, _| Rgba([at(x), at(x), at(x), 0])).into()),
        ("L16", ImageBuffer::from_fn(3, 1, |x, _| Luma([at16(x)])).into()),
        ("LA16", ImageBuffer::from_fn(3, 1, |x, _| ::image::LumaA([at16(x), 0])).into()),
        ("RGB16", ImageBuffer::from_fn(3, 1, |x, _| Rgb([at16(x); 3])).into()),
        ("RGBA16", ImageBuffer::from_fn(3, 1, |x, _| Rgba([at16(x), at16(x), at16(x), 9])).into()),
    ];
    for (name, image) in images {
        let image = InputImage::decode(&png(image), size(1, 3)).unwrap();
        for (found, expected) in image.rgb_hwc.iter().zip(&expected) {
            // v / 255 and 257 v / 65535 are one number, rounded once each.
            assert!((found - expected).abs() < 1e-7, "{name}: {found} is not {expected}");
        }
    }
}

#[test]
fn all_formats_are_told_by_content_whatever_the_name() {
    let folder = Folder::new();
    let original = gradient(24, 24);
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Jpeg] {
        let path = folder.write("Größe 1.txt", &encode(original.clone(), format));
        let image = InputImage::load(&path, size(24, 24)).unwrap();
        if format != ImageFormat::Jpeg {
            assert_eq!(image.to_rgb8(), original.as_raw().clone(), "{format:?}");
        }
    }
}

#[test]
fn sixteen_bits_survive_resizing() {
    // Two neighbouring 16-bit values that are the same in 8 bit.
    let image = ImageBuffer::from_fn(64, 64, |x, _| Luma([30_000u16 + 100 * u16::from(x >= 32)]));
    let image = InputImage::decode(&png(image), size(32, 32)).unwrap();
    let (left, right) = (image.rgb_hwc[0], image.rgb_hwc[31 * 3]);
    assert_eq!(left, 30_000.0 / 65535.0);
    assert_eq!(right, 30_100.0 / 65535.0);
}

#[test]
fn shrinking_averages_instead_of_skipping() {
    // A checkerboard of single pixels: nearest or bilinear without anti-aliasing would keep black or white.
    let board = GrayImage::from_fn(64, 64, |x, y| Luma([255 * ((x + y) % 2) as u8]));
    let image = InputImage::decode(&png(board), size(8, 8)).unwrap();
    let centre = image.rgb_hwc[(4 * 8 + 4) * 3];
    assert!((centre - 0.5).abs() < 0.02, "{centre}");
}

#[test]
fn resizing_agrees_with_a_direct_lanczos_sum() {
    // One row, so that the vertical pass is the identity. The kernel is written out anew: sinc(x) sinc(x/3) scaled by
    // the shrinking factor, weights normalised.
    let (from, to) = (37usize, 16usize);
    let values: Vec<f32> = (0..from).map(|i| 0.3 + 0.4 * ((i * i) as f32 * 0.11).sin().abs()).collect();
    let row =
        ImageBuffer::from_fn(from as u32, 1, |x, _| Luma([(values[x as usize] * 65535.0).round() as u16]));
    let image = InputImage::decode(&png(row), size(1, to)).unwrap();

    let sinc =
        |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
    let lanczos = |x: f64| if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 };
    let scale = from as f64 / to as f64;
    for i in 0..to {
        let centre = (i as f64 + 0.5) * scale;
        let (mut sum, mut weights) = (0.0, 0.0);
        for (j, value) in values.iter().enumerate() {
            let weight = lanczos((j as f64 + 0.5 - centre) / scale);
            sum += weight * f64::from(*value);
            weights += weight;
        }
        let found = f64::from(image.rgb_hwc[3 * i]);
        // Weights are fixed-point in 16-bit resizing; a step of the file is 1.5e-5.
        assert!((found - sum / weights).abs() < 1e-4, "{i}: {found} is not {}", sum / weights);
    }
}

#[test]
fn one_pixel_is_an_image() {
    let image = InputImage::decode(&png(GrayImage::from_pixel(1, 1, Luma([51]))), size(16, 32)).unwrap();
    assert_eq!(image.rgb_hwc.len(), 16 * 32 * 3);
    assert!(image.rgb_hwc.iter().all(|&v| (v - 0.2).abs() < 1e-6));
}

#[test]
fn normalized_applies_mean_and_std_per_channel() {
    let image = InputImage { height: 1, width: 2, rgb_hwc: vec![0.0, 0.5, 1.0, 1.0, 0.5, 0.0] };
    let normalized = image.normalized([0.5, 0.25, 0.0], [0.5, 0.25, 2.0]);
    assert_eq!(normalized, vec![-1.0, 1.0, 0.5, 1.0, 1.0, 0.0]);
}

#[test]
fn jpeg_is_turned_upright() {
    // EXIF with the single tag Orientation = 6: the top of the scene is on the right of the stored pixels.
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let stored = ::image::RgbImage::from_fn(32, 16, |x, _| Rgb([if x >= 16 { 250 } else { 5 }; 3]));
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(&stored, 32, 16, ExtendedColorType::Rgb8).unwrap();

    // Turned by 90 degrees clockwise, the stored left side (dark) is on top.
    let (image, original) = InputImage::decode_with_original_size(&bytes, size(32, 16)).unwrap();
    assert_eq!(original, OriginalSize { height: 32, width: 16 });
    assert!(image.rgb_hwc[0] < 0.1 && image.rgb_hwc[(31 * 16) * 3] > 0.9);
}

#[test]
fn tiff_is_turned_upright() {
    // Orientation 3: upside down.
    let bytes = tiff(2, 1, 8, 1, false, &[(274, 3)], &[0, 255]);
    let image = InputImage::decode(&bytes, size(1, 2)).unwrap();
    assert_eq!(image.rgb_hwc, vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn palette_and_one_bit_images_are_expanded() {
    // BMP with a palette, written by the encoder from grey pixels.
    let grey = GrayImage::from_fn(16, 4, |x, _| Luma([16 * x as u8]));
    let image = InputImage::decode(&encode(grey.clone(), ImageFormat::Bmp), size(4, 16)).unwrap();
    assert_eq!(image.to_rgb8()[3 * 5], 80);

    // A 1-bit PNG of one row: pixels 1 0 1 0 0 0 0 0. Chunks by hand: no encoder here writes one bit.
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut bytes, b"IHDR", &[0, 0, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
    // A zlib stream with one stored block of two bytes: filter 0, then the row.
    chunk(&mut bytes, b"IDAT", &[0x78, 1, 1, 2, 0, 0xfd, 0xff, 0, 0b1010_0000, 0, 0xa2, 0, 0xa1]);
    chunk(&mut bytes, b"IEND", &[]);
    let image = InputImage::decode(&bytes, size(1, 8)).unwrap();
    let row: Vec<f32> = image.rgb_hwc.iter().step_by(3).copied().collect();
    assert_eq!(row, [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

/// Appends a PNG chunk with its checksum.
fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let checked = [name.as_slice(), data].concat();
    let mut crc = !0u32;
    for byte in &checked {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        }
    }
    file.extend(checked);
    file.extend((!crc).to_be_bytes());
}

#[test]
fn float_tiff_from_zero_to_one_is_read() {
    let data: Vec<u8> = [0.25f32, 0.5, 1.0, 0.0, 0.125, 0.75].iter().flat_map(|v| v.to_le_bytes()).collect();
    let image = InputImage::decode(&tiff(2, 1, 32, 3, true, &[], &data), size(1, 2)).unwrap();
    assert_eq!(image.rgb_hwc, [0.25, 0.5, 1.0, 0.0, 0.125, 0.75]);
}

#[test]
fn float_tiff_of_unknown_scale_is_refused() {
    for value in [255.0f32, -0.5, f32::NAN] {
        let data: Vec<u8> = [0.25, 0.5, value].iter().flat_map(|v| v.to_le_bytes()).collect();
        let found = problem(&tiff(1, 1, 32, 3, true, &[], &data));
        assert!(matches!(found, ImageProblem::FloatOutOfRange { .. }), "{found:?}");
    }
}

#[test]
fn a_grey_float_tiff_is_an_unsupported_colour_type() {
    let found = problem(&tiff(1, 1, 32, 1, true, &[], &0.5f32.to_le_bytes()));
    assert!(matches!(found, ImageProblem::Unsupported { .. }), "{found:?}");
}

#[test]
fn a_missing_file_is_named() {
    let error = InputImage::load(Path::new("no such/part.png"), size(4, 4)).unwrap_err();
    assert!(matches!(error.problem, ImageProblem::Unreadable(_)));
    assert!(error.to_string().starts_with("no such/part.png: cannot be read: "), "{error}");
    assert!(error.source().is_some());
}

#[test]
fn an_empty_file_is_named() {
    let folder = Folder::new();
    let path = folder.write("empty.png", b"");
    let error = InputImage::load(&path, size(4, 4)).unwrap_err();
    assert!(matches!(error.problem, ImageProblem::Empty));
    assert_eq!(error.path.as_deref(), Some(path.as_path()));
}

#[test]
fn text_is_no_image() {
    let found = problem(b"hello world, I am not a picture");
    assert!(matches!(&found, ImageProblem::UnknownFormat { starts_with } if starts_with == b"hello wo"));
    assert_eq!(
        found.to_string(),
        "expected a PNG, JPEG, BMP, TIFF, WebP or PNM image, found content that begins with \"hello wo\""
    );
}

#[test]
fn a_known_format_that_is_not_built_in_is_unsupported() {
    let found = problem(b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff");
    assert!(matches!(found, ImageProblem::Unsupported { .. }), "{found:?}");
}

#[test]
fn truncated_files_are_told_from_damaged_ones() {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Jpeg] {
        let whole = encode(gradient(64, 64), format);
        for keep in [whole.len() / 2, whole.len() - whole.len() / 8] {
            let found = problem(&whole[..keep]);
            // The TIFF directory is at the end of the file: the decoder looks for it beyond.
            assert!(
                matches!(found, ImageProblem::Truncated { bytes } if bytes == keep),
                "{format:?} {keep}: {found:?}"
            );
        }
    }
}

#[test]
fn a_flipped_byte_is_damage() {
    let mut bytes = png(gradient(64, 64));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    let found = problem(&bytes);
    assert!(matches!(found, ImageProblem::Damaged(_)), "{found:?}");
}

#[test]
fn hostile_prefixes_never_panic() {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Jpeg] {
        let whole = encode(gradient(5, 5), format);
        for keep in 0..whole.len() {
            let _ = InputImage::decode(&whole[..keep], size(4, 4));
            let mut flipped = whole.clone();
            flipped[keep] ^= 0xff;
            let _ = InputImage::decode(&flipped, size(4, 4));
        }
    }
}

#[test]
fn a_decompression_bomb_is_refused_before_it_is_unpacked() {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    // 60000 x 60000 RGBA, 14 GiB unpacked.
    chunk(&mut bytes, b"IHDR", &[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 6, 0, 0, 0]);
    chunk(&mut bytes, b"IDAT", &[0x78, 1]);
    chunk(&mut bytes, b"IEND", &[]);
    let found = problem(&bytes);
    assert!(matches!(found, ImageProblem::TooLarge { .. }), "{found:?}");
    assert!(found.to_string().contains("60000x60000"), "{found}");
}

#[test]
fn an_image_without_pixels_is_refused() {
    let folder = Folder::new();
    let path = folder.write("flat.tif", &tiff(0, 4, 8, 1, false, &[], &[]));
    let error = InputImage::load(&path, size(4, 4)).unwrap_err();
    assert!(!error.to_string().is_empty());

    let nothing = DynamicImage::ImageLuma8(GrayImage::new(0, 4));
    let error = InputImage::from_decoded(&nothing, size(4, 4)).unwrap_err();
    assert!(matches!(error.problem, ImageProblem::ZeroSized { .. }));
    let one = DynamicImage::ImageLuma8(GrayImage::new(1, 1));
    assert!(InputImage::from_decoded(&one, size(0, 4)).is_err());
}

#[test]
fn input_sizes_read_as_written() {
    assert_eq!("256".parse(), Ok(size(256, 256)));
    assert_eq!("384x768".parse(), Ok(size(384, 768)));
    assert_eq!("384X768".parse(), Ok(size(384, 768)));
    assert_eq!(size(384, 768).to_string(), "384x768");
    assert_eq!(serde_json::to_string(&size(16, 32)).unwrap(), "\"16x32\"");
    assert_eq!(serde_json::from_str::<InputSize>("\"16x32\"").unwrap(), size(16, 32));
    for wrong in ["", "x", "256x", "x256", "0", "15", "5000", "256x256x3", "-256", "2e2", "256 px"] {
        let error = wrong.parse::<InputSize>().unwrap_err();
        assert!(error.to_string().contains(&format!("\"{wrong}\"")), "{error}");
        assert!(serde_json::from_str::<InputSize>(&format!("\"{wrong}\"")).is_err());
    }
}

#[test]
fn an_image_that_keeps_its_proportions_lies_in_the_middle_and_its_edge_goes_on() {
    let written: InputSize = "16x32 keep-aspect".parse().expect("a size");
    assert_eq!((written.width, written.keep_aspect, &*written.to_string()), (32, true, "16x32 keep-aspect"));
    let keeping = InputSize { keep_aspect: true, ..size(8, 8) };
    for ((height, width), want) in [
        ((4, 8), (2, 0, 4, 8)),
        ((8, 4), (0, 2, 8, 4)),
        ((100, 100), (0, 0, 8, 8)),
        ((1, 1000), (3, 0, 1, 8)),
    ] {
        let Window { top, left, height: h, width: w } = keeping.window(OriginalSize { height, width });
        assert_eq!((top, left, h, w), want, "{height}x{width}");
        assert!(size(8, 8).is_filled_by(Window { top: 0, left: 0, height: 8, width: 8 }));
    }
    // Rows of 10, 20, 30, 40 become rows 2 to 5.
    let rows = DynamicImage::ImageLuma8(GrayImage::from_fn(8, 4, |_, y| Luma([10 * (y as u8 + 1)])));
    let image = InputImage::from_decoded(&rows, keeping).expect("an image");
    let row = |y: usize| (image.rgb_hwc[3 * 8 * y] * 255.0).round() as u8;
    assert_eq!((0..8).map(row).collect::<Vec<_>>(), [10, 10, 10, 20, 30, 40, 40, 40]);
    let mask = Mask::from_decoded(&rows, keeping);
    let marked: Vec<u8> = mask.defective.chunks(8).map(|row| row[7]).collect();
    assert_eq!(marked, [0, 0, 1, 1, 1, 1, 0, 0], "beside the image nothing is defective");
    assert!(
        mask.cropped(keeping.window(OriginalSize { height: 4, width: 8 })).defective.iter().all(|&m| m == 1)
    );
}

#[test]
fn webp_and_pnm_are_read() {
    let original = gradient(24, 16);
    for format in [ImageFormat::WebP, ImageFormat::Pnm] {
        let image = InputImage::decode(&encode(original.clone(), format), size(16, 24)).unwrap();
        assert_eq!(image.to_rgb8(), original.as_raw().clone(), "{format:?}");
    }
    let image = InputImage::decode(b"P5 2 1 255\n\x00\xff", size(1, 2)).unwrap();
    assert_eq!(image.rgb_hwc, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
}

#[test]
fn low_bits_are_stretched_to_the_whole_range() {
    let pixels = [0u16, 1000, 4095, 5000];
    let image = png(ImageBuffer::from_fn(4, 1, |x, _| Luma([pixels[x as usize]])));
    let at = |bits: u8| {
        let depth = BitDepth::new(bits).expect("a depth");
        let (image, _) = InputImage::decode_at(&image, Some(size(1, 4)), depth).expect("an image");
        image.rgb_hwc.iter().step_by(3).copied().collect::<Vec<f32>>()
    };
    assert_eq!(at(12), [0.0, 1000.0 / 4095.0, 1.0, 1.0]);
    assert_eq!(at(16), pixels.map(|v| f32::from(v) / 65535.0));
    // Eight bits stay as they are.
    let eight = png(GrayImage::from_pixel(1, 1, Luma([51])));
    let depth = BitDepth::new(12).expect("a depth");
    let (image, _) = InputImage::decode_at(&eight, None, depth).expect("an image");
    assert!((image.rgb_hwc[0] - 0.2).abs() < 1e-6);

    let folder = Folder::new();
    let path = folder.write("a.png", &image_of(4095));
    assert_eq!(BitDepth::observed(std::slice::from_ref(&path)).map(BitDepth::bits), Some(12));
    let bright = folder.write("b.png", &image_of(40_000));
    assert_eq!(BitDepth::observed(&[path, bright]), Some(BitDepth::FULL));
    assert_eq!(BitDepth::observed(&[folder.write("c.png", &eight)]), None);
}

fn image_of(brightest: u16) -> Vec<u8> {
    png(ImageBuffer::from_fn(8, 8, |x, y| Luma([if (x, y) == (3, 3) { brightest } else { 9 }])))
}
