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
            remarks: Remarks {
                lines: 8,
                jobs: 3,
                never_ran: Lines { count: 1, first: 5 },
                never_arrived: Lines { count: 1, first: 6 },
                ..Remarks::default()
            },
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
        remarks: Remarks { lines: 6, jobs: 3, never_ran: Lines { count: 1, first: 5 }, ..Remarks::default() },
    };
    assert_eq!(read(Format::Csv, rows.as_bytes()).as_ref(), Ok(&expected));
    let with_header = format!("\u{feff}arrival_ms,duration_ms,limit_ms,outcome,key\n{rows}");
    let read = read(Format::Csv, with_header.as_bytes()).unwrap();
    assert_eq!((read.jobs, read.remarks.lines), (expected.jobs, 7));
}

#[test]
fn jobs_are_sorted_by_arrival_and_stay_in_file_order_within_one_instant() {
    let text: String = (0..300).map(|line| format!("{},1,-1,x,{line}\n", 90 - line * 7 % 10)).collect();
    let trace = read(Format::Csv, text.as_bytes()).unwrap();
    let unsorted = Lines { count: 270, first: 2 };
    assert_eq!(trace.remarks.unsorted, unsorted, "all but the lines of the latest instant, after the first");
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
fn what_is_odd_is_said_with_its_number_and_first_line() {
    let odd = "# nothing\n9,1,-1,failed,1\n7,1,-1,Completed,1\n8,1,-1,faild,1\n8,-1,-1,killed,1\n-1,5,-1,x,1\n9,1,-1,\x1b7th,1\n9,1,-1,7,1\n";
    let trace = read(Format::Csv, odd.replace("\x1b7th", "oh\x1bno").as_bytes()).unwrap();
    assert_eq!(
        trace.remarks.to_string(),
        "1 job: never ran (the run time is -1), and skipped; the first in line 5\n\
         1 job: never arrived (the arrival is -1), and skipped; the first in line 6\n\
         2 lines: earlier than a line above, and sorted; the first in line 3\n\
         3 outcomes: not known, and taken for completed, as `faild`; the first in line 4\n"
    );
    assert_eq!(trace.jobs.len(), 5);
    for known in ["completed", "FAILED", "cancelled", "canceled", "unknown", "0", "1", "4", "5", "-1"] {
        let remarks = read(Format::Csv, format!("0,1,-1,{known},1").as_bytes()).unwrap().remarks;
        assert_eq!(remarks.to_string(), "", "{known}");
    }
    let status =
        |status| read(Format::Swf, swf("1", "2", "3", status).as_bytes()).unwrap().remarks.to_string();
    assert_eq!(["-1", "0", "1", "2", "3", "4", "5", "1.0"].map(status).concat(), "");
    for odd in ["6", "0.5", "5.001"] {
        let said = status(odd);
        assert!(said.contains(&format!("taken for completed, as `{odd}`; the first in line 1")), "{said}");
    }
    for (text, said) in
        [("", "no job to run in 0 lines\n"), ("; but\n\n;comments", "no job to run in 3 lines\n")]
    {
        assert_eq!(read(Format::Swf, text.as_bytes()).unwrap().remarks.to_string(), said);
    }
    let said = read(Format::Csv, b"0,-1,-1,unknown,0").unwrap().remarks.to_string();
    assert!(said.starts_with("no job to run in 1 line\n1 job: never ran"), "{said}");
}

#[test]
fn a_workload_log_may_have_more_fields_than_its_format() {
    let good = swf("1", "2", "3", "0");
    let long = |more| format!("{} {more}\n", good.trim_end());
    let text = format!("{good}{}{}", long("19 x -7"), long("19"));
    let trace = read(Format::Swf, text.as_bytes()).unwrap();
    assert_eq!((trace.jobs.len(), trace.jobs[0], trace.remarks.long.count), (3, trace.jobs[1], 2));
    assert_eq!(
        trace.remarks.to_string(),
        "2 lines: more than 18 fields, of which the others are not read; the first in line 2\n"
    );
}

fn packed(jobs: std::ops::Range<u32>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for second in jobs {
        let line = swf(&second.to_string(), &(second * 7 % 1_001).to_string(), "-1", "1");
        encoder.write_all(line.as_bytes()).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_read_from_files_and_from_anywhere() {
    let two = [packed(0..3_000), packed(3_000..5_000)].concat();
    // Behind the last stream, `gzip` passes over zeros too.
    for bytes in [packed(0..5_000), two.clone(), [&two[..], &[0; 10_000]].concat()] {
        assert_eq!(read(Format::Swf, &bytes).unwrap().jobs.len(), 5_000);
    }
    // As a pipe may give it.
    struct Drops<'b>(&'b [u8]);
    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(&mut into[..most])
        }
    }
    let drops = BufReader::new(Drops(&two));
    assert_eq!(Trace::read(Path::new("-"), Format::Swf, drops).unwrap().jobs.len(), 5_000);
}

#[test]
fn what_is_wrong_with_a_packed_log_is_named() {
    let folder = std::env::temp_dir().join(format!("plimsoll-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let whole = packed(0..5_000);
    let (length, half) = (whole.len(), whole.len() / 2);
    let truncated = |at: usize| format!("the gzip stream is truncated: it breaks off after {at} bytes");
    let trailing =
        format!("the gzip stream ends after {length} bytes, and the bytes that follow are no gzip stream");
    let mut damaged = whole.clone();
    damaged[10] = 0x07; // a kind of block that does not exist
    let mut sum = whole.clone();
    sum[length - 8] ^= 1;
    for (name, bytes, words) in [
        ("cut.swf.gz", whole[..half].to_vec(), truncated(half)),
        ("tail.swf.gz", whole[..length - 4].to_vec(), truncated(length - 4)),
        ("head.swf.gz", whole[..5].to_vec(), truncated(5)),
        ("empty.swf.gz", Vec::new(), truncated(0)),
        ("second.swf.gz", [&whole[..], &whole[..7]].concat(), truncated(length + 7)),
        ("short.swf.gz", [&whole[..], b"x"].concat(), trailing.clone()),
        ("text.swf.gz", [&whole[..], b"; what is this?\n"].concat(), trailing.clone()),
        ("zeros.swf.gz", [&whole[..], &[0; 512], b"\x1f; what is this?"].concat(), trailing),
        ("damaged.swf.gz", damaged, "the gzip stream is damaged, at or before byte".to_owned()),
        ("sum.swf.gz", sum, "the gzip stream is damaged, at or before byte".to_owned()),
        ("plain.swf.gz", b"; not packed".to_vec(), "this is no gzip stream, although the name".to_owned()),
        ("log.txt", Vec::new(), "the name says no format: it must end in .swf or .csv".to_owned()),
    ] {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        let error = Trace::open(&file, None).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(&words), "{error}");
    }
    let missing = Trace::open(&folder.join("missing.swf"), None).unwrap_err().to_string();
    assert!(missing.contains("missing.swf: No such file"), "{missing}");
    // The format that is said counts, and what is packed is seen without the name.
    std::fs::write(folder.join("log.txt"), &whole).unwrap();
    assert_eq!(Trace::open(&folder.join("log.txt"), Some(Format::Swf)).unwrap().jobs.len(), 5_000);
    std::fs::remove_dir_all(&folder).unwrap();
}
