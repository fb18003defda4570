//! What is read, and what is refused with which words.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn read(format: Format, text: &[u8]) -> Result<Trace, String> {
    Trace::read(Path::new("log"), format, text).map_err(|error| error.to_string())
}

fn swf(submit: &str, run: &str, requested: &str, status: &str) -> String {
    format!("1 {submit} -1 {run} 4 -1 -1 4 {requested} -1 {status} 3 1 7 -1 -1 -1 -1\n")
}

#[test]
fn a_workload_log_is_read() {
    let mut text = b"; Acknowledge: \xc5ke\n;\n\n".to_vec();
    text.extend_from_slice(swf("100", "12.3456", "60", "1").replace(' ', "   ").as_bytes());
    text.extend_from_slice(swf("\t101.5", "-1", "60", "-1").as_bytes());
    text.extend_from_slice(swf("-1", "5", "60", "1").as_bytes());
    text.extend_from_slice(swf("102.25", "0", "-1", "0").replace('\n', "\r\n").as_bytes());
    text.extend_from_slice(swf("102.25", "5", "0", "5").trim_end().as_bytes());
    let job = |arrival, duration, limit, ending| Job { arrival, duration, limit, key: 7, ending };
    assert_eq!(
        read(Format::Swf, &text),
        Ok(Trace {
            jobs: vec![
                job(0, 12_346, Some(60_000), Ending::Completed),
                job(2_250, 0, None, Ending::Failed),
                job(2_250, 5_000, Some(0), Ending::Cancelled),
            ],
            skipped: 2,
            unsorted: 0,
        })
    );
}

#[test]
fn a_csv_is_read_with_or_without_its_header() {
    let rows = "0,880,-1,unknown,0\r\n\r\n# note\n4315.5, 2180 ,100,failed,1\n4316,-1,-1,completed,2\n4316,1,-1,5,-1";
    let expected = Trace {
        jobs: vec![
            Job { arrival: 0, duration: 880, limit: None, key: 0, ending: Ending::Completed },
            Job { arrival: 4_316, duration: 2_180, limit: Some(100), key: 1, ending: Ending::Failed },
            Job { arrival: 4_316, duration: 1, limit: None, key: 0, ending: Ending::Cancelled },
        ],
        skipped: 1,
        unsorted: 0,
    };
    assert_eq!(read(Format::Csv, rows.as_bytes()).as_ref(), Ok(&expected));
    let with_header = format!("\u{feff}arrival_ms,duration_ms,limit_ms,outcome,key\n{rows}");
    assert_eq!(read(Format::Csv, with_header.as_bytes()), Ok(expected));
}

#[test]
fn jobs_are_sorted_by_arrival_and_stay_in_file_order_within_one_instant() {
    let text: String = (0..300).map(|line| format!("{},1,-1,x,{line}\n", 90 - line * 7 % 10)).collect();
    let trace = read(Format::Csv, text.as_bytes()).unwrap();
    assert_eq!(trace.unsorted, 270, "all but the lines of the latest instant, after the first");
    let mut expected: Vec<_> = (0..300).map(|line| (9 - line * 7 % 10, line)).collect();
    expected.sort();
    let order: Vec<_> = trace.jobs.iter().map(|job| (job.arrival, job.key)).collect();
    assert_eq!(order, expected);
}

#[test]
fn an_error_names_file_line_and_field() {
    let good = swf("1", "2", "3", "1");
    for (line, why) in [
        (swf("x", "2", "3", "1"), "log: line 3: field `submit time` is not a number: `x`"),
        (swf("1", "-2", "3", "1"), "log: line 3: field `run time` is negative, but not -1: `-2`"),
        (swf("1", "2", "-1.5", "1"), "log: line 3: field `requested time` is negative, but not -1: `-1.5`"),
        ("1 2 3\n".to_owned(), "log: line 3: malformed line: 3 fields instead of 18"),
        (format!("{} 19\n", good.trim_end()), "log: line 3: malformed line: 19 fields instead of 18"),
        ("1 ".repeat(LINE_BYTES), "log: line 3: malformed line: longer than 65536 bytes"),
    ] {
        assert_eq!(read(Format::Swf, format!("; comment\n{good}{line}").as_bytes()), Err(why.to_owned()));
    }
    for (line, why) in [
        ("0,1,-1,unknown", "log: line 1: malformed line: 4 fields instead of 5"),
        ("0,1,-1,unknown,3,4", "log: line 1: malformed line: 6 fields instead of 5"),
        ("0,,-1,unknown,3", "log: line 1: field `duration_ms` is not a number: ``"),
        ("0,1,-7,unknown,3", "log: line 1: field `limit_ms` is negative, but not -1: `-7`"),
        ("0,1,-1,-3,3", "log: line 1: field `outcome` is negative, but not -1: `-3`"),
        ("0,1,-1,unknown,?", "log: line 1: field `key` is not a number: `?`"),
        (
            "arrival,duration_ms,limit_ms,outcome,key",
            "log: line 1: field `arrival_ms` is not a number: `arrival`",
        ),
    ] {
        assert_eq!(read(Format::Csv, line.as_bytes()), Err(why.to_owned()), "{line}");
    }
}

#[test]
fn gzip_is_read_and_a_cut_one_is_refused() {
    let folder = std::env::temp_dir().join(format!("plimsoll-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for second in 0..5_000 {
        encoder
            .write_all(swf(&second.to_string(), &(second * 7 % 1_001).to_string(), "-1", "1").as_bytes())
            .unwrap();
    }
    let packed = encoder.finish().unwrap();
    let file = folder.join("whole.swf.gz");
    std::fs::write(&file, &packed).unwrap();
    assert_eq!(Trace::open(&file).unwrap().jobs.len(), 5_000);
    for (name, bytes, words) in [
        ("cut.swf.gz", &packed[..packed.len() / 2], "the gzip stream is truncated"),
        ("tail.swf.gz", &packed[..packed.len() - 4], "the gzip stream is truncated"),
        ("head.swf.gz", &packed[..5], "the gzip stream is truncated"),
        ("empty.swf.gz", &[], "the gzip stream is truncated"),
        ("plain.swf.gz", b"; not packed\n; not packed\n", "invalid gzip header"),
        ("log.txt", b"", "unknown kind of log"),
    ] {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        let error = Trace::open(&file).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
    let missing = Trace::open(&folder.join("missing.swf")).unwrap_err().to_string();
    assert!(missing.contains("missing.swf: No such file"), "{missing}");
    std::fs::remove_dir_all(&folder).unwrap();
}
