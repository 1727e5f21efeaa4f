"""Files of labels written by hand, in the format of each program or data set."""

DESED_WEAK = """\
filename\tevent_labels
Y00pbt6aJV8Y_350.000_360.000.wav\tDog,Speech
Y-0CamVQdPRc_29.000_39.000.wav\tCat
"""

DESED_UNLABELED = "filename\naudio/train/unlabel_in_domain/Y5J603SAj7QM_210.000_220.000.wav\n"

# Columns of 2020's soundscapes in another order, with others between; a clip without events.
DESED_STRONG = """\
event_label\tsource_file\toffset\tonset\tfilename
Dog\ta.wav\t2.500\t0.25\t12.wav
Speech\tb.wav\t3,75\t1,5\t12.wav
\t\t\t\t13.wav
Cat\tc.wav\tlate\t1\t14.wav
Cat\tc.wav\t2\t1\t15.wav\ttoo\tmany
"""

AUDIOSET = """\
# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
--aE2O5G5WE, 0.000, 7.500, "/m/03fwl,/m/unknown"
"""

AUDIOSET_STRONG = """\
segment_id\tstart_time_seconds\tend_time_seconds\tlabel
b0RFKhbpFJA_30000\t0.000\t10.000\t/m/03m9d0z
b0RFKhbpFJA_30000\t4.753\t5.720\t/m/05zppz
-_abc-_def__0\t1.000\t2.000\t/m/05zppz
"""

AUDIOSET_FRAMED = """\
segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tpresent
b0RFKhbpFJA_30000\t0.000\t0.960\t/m/05zppz\tPRESENT
b0RFKhbpFJA_30000\t0.960\t1.920\t/m/05zppz\tNOT_PRESENT
"""

MID_NAMES = """\
/m/09x0r\tSpeech
/t/dd00088\tGush
/m/03fwl\tGoat
/m/03m9d0z\tWind
/m/05zppz\tMale speech, man speaking
"""

FSD50K_DEV = """\
fname,labels,mids,split
64760,"Electric_guitar,Guitar","/m/02sgy,/m/0342h",train
21914,Bark,/m/05tny_,val
"""

FSD50K_EVAL = """\
fname,labels,mids
37199,"Bark,Dog","/m/05tny_,/m/0bt9lr"
"""

URBANSOUND8K = """\
slice_file_name,fsID,start,end,salience,fold,classID,class
100032-3-0-0.wav,100032,58.5,61.25,1,5,3,dog_bark
100263-2-0-117.wav,100263,58.5,62.5,1,10,2,children_playing
"""

ESC50 = """\
filename,fold,target,category,esc10,src_file,take
1-100032-A-0.wav,1,0,dog,True,100032,A
5-9032-A-0.wav,5,14,chirping_birds,False,9032,A
"""

VGGSOUND = """\
---g-f_I2yQ,1,"people marching",test
-0BIyqJj9ZU,30,"race car, auto racing",train
"""

# The third label is a point, and the fourth has frequencies; Audacity writes no header.
AUDACITY = """\
0.500000\t1.250000\tDog
2,000000\t3,000000\tCat "Tom"
4.000000\t4.000000\tclick
5.000000\t6.500000\tDog
\\\t200.000000\t4000.000000
7.000000\t8.000000\t
"""

# Two views of selection 1.
RAVEN = """\
Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies
1\tWaveform 1\t1\t0.250000\t1.500000\t0.0\t8000.0\tOwl
1\tSpectrogram 1\t1\t0.250000\t1.500000\t100.0\t4000.0\tOwl
2\tSpectrogram 1\t1\t3.000000\t3.500000\t100.0\t4000.0\tFox
"""

# Two files opened as one sequence: the second begins at 60 s of it.
RAVEN_SEQUENCE = """\
Selection\tView\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tAnnotation
1\tSpectrogram 1\t10.0\t12.0\ta.wav\t10.0\tOwl
2\tSpectrogram 1\t61.5\t62.0\tb.wav\t1.5\tOwl
"""

TEXTGRID = """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "sounds"
        xmin = 0
        xmax = 4
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "dog ""Rex"" 2"
        intervals [3]:
            xmin = 1.25
            xmax = 2e0
            text = "intervals [9]:"
        intervals [4]:
            xmin = 2
            xmax = 4
            text = "höhe"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 4
        points: size = 1
        points [1]:
            number = 1.1
            mark = "click"
"""

TEXTGRID_SHORT = """\
File type = "ooTextFile"
Object class = "TextGrid"

0
4
<exists>
2 ! two tiers
"IntervalTier"
"sounds"
0
4
4
0
0.5
""
0.5
1.25
"dog ""Rex"" 2"
1.25
2e0
"intervals [9]:"
2
4
"höhe"
"TextTier"
"clicks"
0
4
1
1.1
"click"
"""

# Time slot ts4 has no time. The second tier refers to annotations of the first.
EAF = """\
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" FORMAT="3.0" VERSION="3.0">
 <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
  <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/my%20rec/main%20street.wav" MIME_TYPE="audio/x-wav"
   RELATIVE_MEDIA_URL="./main%20street.wav" TIME_ORIGIN="2000"/>
 </HEADER>
 <TIME_ORDER>
  <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
  <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1500"/>
  <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/>
  <TIME_SLOT TIME_SLOT_ID="ts4"/>
 </TIME_ORDER>
 <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="sounds">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
   <ANNOTATION_VALUE>Dog &amp; cat</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
   <ANNOTATION_VALUE>Cat</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
 </TIER>
 <TIER LINGUISTIC_TYPE_REF="dep" PARENT_REF="sounds" TIER_ID="quality">
  <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
   <ANNOTATION_VALUE>loud</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
 </TIER>
</ANNOTATION_DOCUMENT>
"""

ENTITIES = """\
<?xml version="1.0"?>
<!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/><TIER TIER_ID="&b;"/></ANNOTATION_DOCUMENT>
"""

# A soundscape of Scaper: the event of 1 s was stretched to 1.5 s.
SCAPER = """\
{"annotations": [{"namespace": "scaper", "data": [
  {"time": 0.0, "duration": 10.0, "confidence": 1.0,
   "value": {"label": "park", "role": "background", "event_time": 0, "event_duration": 10.0}},
  {"time": 2.25, "duration": 1.5, "confidence": 1.0,
   "value": {"label": "siren", "role": "foreground", "event_time": 2.25, "event_duration": 1.0,
             "time_stretch": 1.5}}]}],
 "file_metadata": {"duration": 10.0, "title": "", "identifiers": {}}, "sandbox": {}}
"""

# JAMS of version 0.1 stores columns; tags are of the whole recording.
JAMS = """\
{"annotations": [
  {"namespace": "segment_open", "data": {"time": [0.5, 3.0], "duration": [1.0, 0.25],
   "value": ["dog", "cat"], "confidence": [null, null]}},
  {"namespace": "tag_open", "data": [
   {"time": 0, "duration": 8.0, "value": "park", "confidence": 1}]},
  {"namespace": "beat", "data": [{"time": 1, "duration": 0, "value": 1, "confidence": 1}]}],
 "file_metadata": {"duration": 8.0}}
"""

LABEL_STUDIO = """\
[{"id": 1, "file_upload": "0a1b2c3d-street.wav",
  "data": {"text": "some note", "url": "/data/upload/1/0a1b2c3d-street%201.wav"},
  "predictions": [{"result": [
   {"type": "labels", "value": {"start": 0, "end": 9, "labels": ["X"]}}]}],
  "annotations": [
   {"was_cancelled": true, "result": []},
   {"was_cancelled": false, "ground_truth": false, "result": []},
   {"was_cancelled": false, "ground_truth": true, "result": [
    {"type": "labels", "original_length": 12.5, "from_name": "label", "to_name": "audio",
     "value": {"start": 0.5, "end": 1.25, "channel": 0, "labels": ["Dog", "Bark"]}},
    {"type": "labels", "original_length": 12.5,
     "value": {"start": 2.0, "end": 3.0, "channel": 0}},
    {"type": "textarea", "original_length": 12.5,
     "value": {"start": 0.5, "end": 1.25, "text": ["woof"]}},
    {"type": "choices", "value": {"choices": ["Outdoors"]}}]}]},
 {"id": 2, "data": {"audio": "/data/local-files/?d=rec/b.flac"}, "annotations": []},
 {"id": 3, "data": {"audio": "s3://bucket/rec/c.wav"},
  "annotations": [{"was_cancelled": false, "result": []}]}]
"""
