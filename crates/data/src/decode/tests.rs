//! Every format, made here: sound, cut short, lying about its size, mutated.

use std::io::{Cursor, Write};
use std::path::Path;

use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};
use ::tiff::encoder::{Compression, TiffEncoder, colortype};
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// 6 x 5 pixels of RGB with many values.
const HEIGHT: usize = 6;
const WIDTH: usize = 5;

fn rgb() -> Vec<u8> {
    (0..HEIGHT * WIDTH * 3).map(|v| (v * 37 % 256) as u8).collect()
}

fn png(bytes: &[u8], height: usize, width: usize, colour: ExtendedColorType) -> Vec<u8> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(bytes, width as u32, height as u32, colour).unwrap();
    out
}

fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, 95);
    encoder.write_image(&rgb(), WIDTH as u32, HEIGHT as u32, ExtendedColorType::Rgb8).unwrap();
    out
}

fn tiff<C: colortype::ColorType>(values: &[C::Inner], compression: Compression) -> Vec<u8>
where
    [C::Inner]: ::tiff::encoder::TiffValue,
{
    let mut out = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut out).unwrap().with_compression(compression);
    encoder.write_image::<C>(WIDTH as u32, HEIGHT as u32, values).unwrap();
    out.into_inner()
}

fn gif(indices: &[u8], palette: &[u8], height: usize, width: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = ::gif::Encoder::new(&mut out, width as u16, height as u16, palette).unwrap();
    let frame = ::gif::Frame::from_indexed_pixels(width as u16, height as u16, indices, None);
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    out
}

fn pnm(header: &str, body: &[u8]) -> Vec<u8> {
    [header.as_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One sound file of each kind, all but the JPEG with the pixels of [`rgb`].
fn sound_files() -> Vec<(&'static str, Vec<u8>)> {
    let ppm = pnm("P6\n# CREATOR: a test\n5 6\n255\n", &rgb());
    let mut palette = rgb();
    palette.resize(32 * 3, 0);
    let indices: Vec<u8> = (0..30).collect();
    vec![
        ("lzw.tif", tiff::<colortype::RGB8>(&rgb(), Compression::Lzw)),
        ("plain.tif", tiff::<colortype::RGB8>(&rgb(), Compression::Uncompressed)),
        ("a.gif", gif(&indices, &palette, HEIGHT, WIDTH)),
        ("a.png", png(&rgb(), HEIGHT, WIDTH, ExtendedColorType::Rgb8)),
        ("a.ppm.gz", gzip(&ppm)),
        ("a.ppm", ppm),
        ("a.jpg", jpeg()),
    ]
}

fn error_text(name: &str, bytes: &[u8]) -> String {
    decode(Path::new(name), bytes).unwrap_err().to_string()
}

#[test]
fn every_format_gives_the_same_pixels() {
    let expected = Raster::new((HEIGHT, WIDTH), 3, rgb().into_iter().map(u16::from).collect(), 255).unwrap();
    for (name, bytes) in sound_files() {
        // The name must not matter.
        let raster = decode(Path::new("lying.txt"), &bytes).unwrap();
        assert_eq!(raster.sides(), (HEIGHT, WIDTH), "{name}");
        assert!(name == "a.jpg" || raster == expected, "{name}");
    }
    let image = expected.to_image();
    assert_eq!(image.channel(1)[2], f32::from(rgb()[7]) / 255.0);
}

#[test]
fn sixteen_bits_keep_their_precision() {
    let values: Vec<u16> = (0..30u16).map(|v| v * 2003 + 1).collect();
    let expected: Vec<f32> = values.iter().map(|&v| f32::from(v) / 65535.0).collect();
    let big: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    let native: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    let files = [
        tiff::<colortype::Gray16>(&values, Compression::Lzw),
        pnm("P5 5 6 65535\n", &big),
        png(&native, HEIGHT, WIDTH, ExtendedColorType::L16),
    ];
    for bytes in files {
        let image = decode(Path::new("a"), &bytes).unwrap().to_image();
        for channel in 0..3 {
            let pairs = image.channel(channel).iter().zip(&expected);
            assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-7), "{:?}", image.data);
        }
    }
}

#[test]
fn alpha_is_dropped() {
    let rgba: Vec<u8> = rgb().chunks(3).flat_map(|p| [p[0], p[1], p[2], 9]).collect();
    let flat = decode(Path::new("a"), &png(&rgb(), HEIGHT, WIDTH, ExtendedColorType::Rgb8)).unwrap();
    for bytes in [
        png(&rgba, HEIGHT, WIDTH, ExtendedColorType::Rgba8),
        tiff::<colortype::RGBA8>(&rgba, Compression::Deflate(Default::default())),
    ] {
        assert_eq!(decode(Path::new("a"), &bytes).unwrap(), flat);
    }
}

#[test]
fn a_file_cut_short_is_an_error_or_whole() {
    for (name, bytes) in sound_files() {
        let whole = decode(Path::new(name), &bytes).unwrap();
        let mut refused = 0;
        for length in 0..bytes.len() {
            match decode(Path::new(name), &bytes[..length]) {
                // Only the trailer is missing.
                Ok(raster) => assert_eq!(raster, whole, "{name} cut to {length} bytes"),
                Err(error) => {
                    assert!(error.to_string().starts_with(name), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused + 20 > bytes.len(), "{name}: only {refused} of {} cuts were noticed", bytes.len());
    }
}

#[test]
fn huge_declared_sizes_are_refused_before_allocation() {
    let mut lying = vec![
        ("P5", pnm("P5 4000000000 4000000000 255\n", &[0; 9])),
        ("P6", pnm("P6 0 7 255\n", &[0; 9])),
        ("gif", [b"GIF89a".as_slice(), &[0xff, 0xff, 0xff, 0xff, 0, 0, 0], &[0; 20]].concat()),
    ];
    // Width and height of the JPEG's frame header (marker ff c0: length, precision, height, width).
    let mut file = jpeg();
    let frame = file.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    file[frame + 5..frame + 9].fill(0xff);
    lying.push(("jpg", file));
    // ImageWidth (tag 256) and ImageLength (257) and RowsPerStrip (278) of the TIFF directory: type, count, value.
    let mut file = tiff::<colortype::RGB8>(&rgb(), Compression::Lzw);
    for tag in [256u16, 257, 278] {
        // Type 4 is LONG; one value.
        let entry = [&tag.to_ne_bytes()[..], &4u16.to_ne_bytes(), &1u32.to_ne_bytes()].concat();
        let at = file.windows(8).position(|w| w == entry).unwrap();
        file[at + 8..at + 12].copy_from_slice(&70_000u32.to_ne_bytes());
    }
    lying.push(("tif", file));
    for (name, bytes) in lying {
        let text = error_text(name, &bytes);
        assert!(text.contains("the header declares"), "{text}");
    }
    // The header's checksum no longer holds, which is refused as well.
    let mut file = png(&rgb(), HEIGHT, WIDTH, ExtendedColorType::Rgb8);
    file[16..24].fill(0x7f);
    assert!(error_text("a.png", &file).starts_with("a.png: as PNG"));
}

#[test]
fn gzip_may_not_unpack_without_bound() {
    let bomb = gzip(&pnm("P5 1000 1000 255\n", &vec![0; 1_000_000]));
    assert!(bomb.len() < 20_000);
    assert!(decode_within(Path::new("bomb.gz"), &bomb, 1 << 20).is_ok());
    let error = decode_within(Path::new("bomb.gz"), &bomb, 100_000).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { limit_bytes: 100_000, .. }), "{error}");
    assert!(error.to_string().contains("bomb.gz"));
    // A second layer is not unpacked.
    assert!(matches!(decode(Path::new("twice.gz"), &gzip(&bomb)), Err(DataError::UnknownFormat { .. })));
}

#[test]
fn unreadable_content_is_named() {
    assert!(error_text("notes.png", b"hello world").contains("it begins with `hello wo`"));
    assert!(error_text("empty.png", b"").contains("it is empty"));
    assert!(error_text("a.pgm", b"P5 5 six 255\n").contains("height is not a number"));
    assert!(error_text("a.pgm", b"P5 5 6 70000\n").contains("1 to 65535"));
    assert!(error_text("a.pgm", b"P5 2 2 255\nabc").contains("needs 4 bytes, 3 are left"));
    let missing = read_raster(Path::new("/nowhere/a.png")).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/a.png"), "{missing}");
    let partial = tiff::<colortype::Gray32Float>(&[0.5; 30], Compression::Uncompressed);
    assert!(error_text("float.tif", &partial).contains("not supported"));
}

#[test]
fn pnm_comments_may_stand_anywhere_in_the_header() {
    let body: Vec<u8> = (0..6).map(|v| v * 40).collect();
    let header = "P5# CREATOR: XV\n# 9 9\n2 # width\n#\n3\t255\n";
    let raster = decode(Path::new("a"), &pnm(header, &body)).unwrap();
    assert_eq!(raster.sides(), (3, 2));
    // A first pixel that looks like white space belongs to the image.
    let raster = decode(Path::new("a"), &pnm("P5 1 2 255\n", b"\n\x20")).unwrap();
    assert_eq!(raster.to_image().channel(0), [10.0 / 255.0, 32.0 / 255.0]);
}

fn mask_of(grey: &[u8], kind: MaskKind) -> Result<crate::Mask> {
    let raster = decode(Path::new("m.pgm"), &pnm(&format!("P5 {} 1 255\n", grey.len()), grey))?;
    raster.to_mask(Path::new("m.pgm"), kind)
}

#[test]
fn labels_are_binary_whatever_their_levels() {
    for (grey, expected) in [
        ([0, 255, 255, 0], [0, 1, 1, 0]),
        ([3, 253, 3, 3], [0, 1, 0, 0]),
        ([0, 1, 0, 1], [0, 1, 0, 1]),
        ([0, 20, 240, 255], [0, 0, 1, 1]),
    ] {
        assert_eq!(mask_of(&grey, MaskKind::Label).unwrap().data, expected, "{grey:?}");
    }
    let error = mask_of(&[0, 255, 128, 255], MaskKind::Label).unwrap_err();
    assert!(matches!(error, DataError::NotBinary { value: 128, column: 2, levels: 3, .. }), "{error}");
    assert!(error.to_string().starts_with("m.pgm"));
    assert!(matches!(mask_of(&[0; 4], MaskKind::Label), Err(DataError::Empty { what: "label", .. })));
    assert!(matches!(mask_of(&[255; 4], MaskKind::Label), Err(DataError::Uniform { value: 255, .. })));
}

#[test]
fn fields_may_be_full_or_soft_but_not_empty() {
    assert_eq!(mask_of(&[255; 4], MaskKind::Field).unwrap().count(), 4);
    assert_eq!(mask_of(&[0, 100, 200, 255], MaskKind::Field).unwrap().data, [0, 0, 1, 1]);
    assert!(matches!(mask_of(&[0; 4], MaskKind::Field), Err(DataError::Empty { .. })));
}

#[test]
fn palettes_are_applied_and_pictures_are_no_masks() {
    let bytes = gif(&[0, 1, 1, 0], &[4, 2, 4, 252, 254, 252], 2, 2);
    let mask = decode(Path::new("a"), &bytes).unwrap().to_mask(Path::new("a"), MaskKind::Label).unwrap();
    assert_eq!(mask.data, [0, 1, 1, 0]);
    let picture = decode(Path::new("a"), &png(&rgb(), HEIGHT, WIDTH, ExtendedColorType::Rgb8)).unwrap();
    let error = picture.to_mask(Path::new("photo.png"), MaskKind::Label).unwrap_err();
    assert!(matches!(error, DataError::Coloured { row: 0, column: 0, .. }), "{error}");
    let outside = gif(&[0, 9, 1, 0], &[0, 0, 0, 255, 255, 255], 2, 2);
    assert!(decode(Path::new("a"), &outside).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Changed bytes give an error or some image; never a panic.
    #[test]
    fn mutated_files_never_panic(
        file in 0usize..7,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (name, mut bytes) = sound_files().swap_remove(file);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(raster) = decode(Path::new(name), &bytes) {
            let (height, width) = raster.sides();
            prop_assert!(height * width <= crate::PIXELS_MAX);
        }
    }
}
