#!/bin/sh
# Makes the fixtures of KinoMediaTests with the ffmpeg command. Run in this folder.
set -eu
ff() { ffmpeg -nostdin -loglevel error -y -fflags +bitexact "$@"; }
exact="-fflags +bitexact -flags:v +bitexact -map_metadata -1 -threads 1"
x264="-c:v libx264 -preset veryfast -crf 20"

# Frame n of 10 is gray of level 20 n: a reader shows at which frame it looked.
levels="color=black:s=32x32:r=10:d=1,format=gray,geq=lum=20*N,format=yuvj444p"
flat="-vf scale=in_range=full:out_range=limited,format=yuv420p -color_range tv"

# Variable rate: frames 0 1 2 at 0, 0.1, 0.2 s, frame 3 at 0.5 s, 4 at 1.0 s, the rest every 0.1 s.
ff -f lavfi -i "$levels" -vf "scale=in_range=full:out_range=limited,format=yuv420p,\
setpts='if(lt(N,3),N,if(eq(N,3),5,N+6))*0.1/TB'" -fps_mode vfr -enc_time_base 1:1000 -color_range tv \
  $x264 $exact -video_track_timescale 1000 vfr.mp4
# The same clip at a constant rate, with times rounded to milliseconds, B frames, sound.
ff -f lavfi -i "$levels" -f lavfi -i "sine=440:r=8000:d=1" $flat $x264 -bf 2 $exact -c:a aac -b:a 16k \
  -flags:a +bitexact sound.mp4
ff -f lavfi -i "color=black:s=32x32:r=30000/1001:d=0.33,format=gray,geq=lum=20*N,format=yuvj444p" \
  $flat $x264 $exact ntsc.mkv

# The same pictures with a sound that tells its time: a sweep from 300 to 900 Hz in its one second.
# It begins with the pictures, 0.3 s after them (late), and 0.3 s before them (early).
sweep="aevalsrc='0.5*sin(2*PI*(300*t+300*t*t))':s=16000:d=1"
aac="-c:a aac -b:a 32k -flags:a +bitexact"
ff -f lavfi -i "$levels" -f lavfi -i "$sweep" $flat $x264 -bf 2 $exact $aac sweep.mp4
ff -i sweep.mp4 -itsoffset 0.3 -i sweep.mp4 -map 0:v -map 1:a -c copy $exact sweep-late.mp4
ff -itsoffset 0.3 -i sweep.mp4 -i sweep.mp4 -map 0:v -map 1:a -c copy $exact sweep-early.mp4
# A container whose clock does not begin at 0, and one with other sound: stereo, right silent.
ff -i sweep.mp4 -c copy -output_ts_offset 1.5 -mpegts_flags +initial_discontinuity $exact sweep.ts
ff -f lavfi -i "$levels" -f lavfi -i "$sweep,aresample=22050,pan=stereo|c0=c0" $flat $x264 $exact \
  -c:a flac -flags:a +bitexact sweep-stereo.mkv

# An edit list that hides the first three frames of sound.mp4's pictures.
ff -ss 0.25 -i sound.mp4 -map 0:v -c copy $exact edit.mp4
# MPEG-2, a stream that tells fields.
ff -f lavfi -i "$levels" -vf "scale=in_range=full:out_range=limited,format=yuv420p,fps=25" -c:v mpeg2video -q:v 2 \
  -bf 2 $exact -f mpeg film.mpg

# Edit lists in both tracks: pictures are shown from frame 3 on, sound is heard from 0.25 s on.
ff -ss 0.25 -i sweep.mp4 -c copy $exact sweep-edit.mp4

# HEVC whose groups are open, in a container that can be sought to any packet.
ff -f lavfi -i "testsrc2=s=64x64:r=12:d=5" -pix_fmt yuv420p -c:v libx265 -crf 40 \
  -x265-params log-level=none:keyint=12:open-gop=1:bframes=4 $exact open.ts

# Four quarters: red green / blue white, 48x32, and what the tag makes of it.
quarters="color=red:s=24x16:r=5:d=0.4[r];color=lime:s=24x16:r=5:d=0.4[g];\
color=blue:s=24x16:r=5:d=0.4[b];color=white:s=24x16:r=5:d=0.4[w];[r][g]hstack[t];[b][w]hstack[u];\
[t][u]vstack,format=rgb24"
to709="scale=out_color_matrix=bt709:out_range=limited"
tag709="-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
ff -f lavfi -i "$quarters" -vf "$to709,format=yuv420p" $tag709 $x264 $exact upright.mp4
for degrees in 90 180 270; do
  ff -display_rotation $degrees -i upright.mp4 -c copy rotated$degrees.mp4 2>/dev/null ||
    ff -i upright.mp4 -c copy -metadata:s:v rotate=$((360 - degrees)) rotated$degrees.mp4
done

# Colours: matrices, ranges, depths. The picture is the four quarters.
for matrix in bt709 bt601 bt2020; do
  case $matrix in bt601) tag=smpte170m ;; bt2020) tag=bt2020nc ;; *) tag=bt709 ;; esac
  for range in tv pc; do
    ff -f lavfi -i "$quarters" -frames:v 1 \
      -vf "scale=out_color_matrix=$matrix:out_range=$range,format=yuv444p" \
      -colorspace $tag -color_range $range -c:v libx264 -crf 4 $exact $matrix-$range.mp4
  done
done
ff -f lavfi -i "$quarters" -frames:v 2 -vf "$to709,format=yuv420p10le" $tag709 -c:v libx264 -crf 8 \
  $exact ten-bit.mp4
ff -f lavfi -i "$quarters" -frames:v 1 -vf "scale=34x22:out_color_matrix=bt709:out_range=limited,\
format=yuv444p,crop=33:21:0:0,setsar=1" $tag709 -c:v libx264 -crf 8 $exact odd.mp4
ff -f lavfi -i "$quarters" -frames:v 1 -vf "$to709,format=yuv420p,setsar=2" $tag709 $x264 $exact wide-pixels.mp4

# As players of old files meet them: BT.601, full range, 4:2:0, with tags and without, and 10-bit HEVC.
ff -f lavfi -i "$quarters" -frames:v 2 -vf "scale=out_color_matrix=bt601:out_range=full,format=yuvj420p" \
  -color_range pc -colorspace smpte170m -c:v libx264 -crf 4 $exact full601.mp4
ff -f lavfi -i "$quarters" -frames:v 2 -vf "scale=out_color_matrix=bt601:out_range=full,format=yuvj420p" \
  -c:v libx264 -crf 4 $exact full601-untagged.mp4
ff -f lavfi -i "$quarters" -frames:v 2 -vf "scale=96:64:flags=neighbor:out_color_matrix=bt709:\
out_range=limited,format=yuv420p10le" $tag709 -c:v libx265 -crf 8 -x265-params log-level=none $exact hevc-ten-bit.mp4
# A clip with its cover beside it, a second sound track and subtitles.
printf '1\n00:00:00,000 --> 00:00:01,000\nHi\n' >hi.srt
ff -i upright.jpg -i sweep.mp4 -i hi.srt -map 0 -map 1 -map 1:a -map 2 -c copy -c:s mov_text -c:v:0 mjpeg -q:v 2 \
  -disposition:v:0 attached_pic $exact tracks.mp4
rm hi.srt
# A variable rate that needs the rate of its shortest frames: 6 at 12, then 6 at 6 a second.
ff -f lavfi -i "color=black:s=32x32:r=12:d=1,format=gray,geq=lum=20*N,format=yuvj444p" -vf "scale=in_range=full:\
out_range=limited,format=yuv420p,setpts='if(lt(N,6),N,6+2*(N-6))/(12*TB)'" -fps_mode vfr -color_range tv \
  $x264 $exact -video_track_timescale 30000 slowing.mp4

# A raw stream without times whose size changes in the middle.
for size in 48x32 96x64; do
  ff -f lavfi -i "$quarters" -vf "scale=$size:flags=neighbor:out_color_matrix=bt709:out_range=limited,\
format=yuv420p" $tag709 $x264 -bf 0 $exact $size.h264
done
cat 48x32.h264 96x64.h264 >changing.h264
rm 48x32.h264 96x64.h264

# Transparency: opaque red on the left, clear green in the middle, half blue on the right.
alpha="color=red@1:s=8x8:r=5:d=0.2,format=rgba[a];color=lime@0:s=8x8:r=5:d=0.2,format=rgba[b];\
color=blue@0.5:s=8x8:r=5:d=0.2,format=rgba[c];[a][b][c]hstack=3"
ff -f lavfi -i "$alpha" -frames:v 1 $exact alpha.png
ff -f lavfi -i "$alpha" -frames:v 1 -c:v libwebp -lossless 1 $exact alpha.webp

# Still pictures.
ff -f lavfi -i "$quarters" -frames:v 1 -pix_fmt gray $exact gray.png
ff -f lavfi -i "$quarters" -frames:v 1 -pix_fmt gray16be $exact gray16.png
ff -f lavfi -i "$quarters" -frames:v 1 -vf "scale=out_range=limited,format=gray" -color_range tv \
  -c:v libx264 -crf 4 $exact gray.mp4
ff -f lavfi -i "$quarters" -frames:v 1 -pix_fmt yuvj444p -q:v 1 $exact upright.jpg
ff -f lavfi -i "$quarters" -frames:v 1 $exact quarters.bmp
ff -f lavfi -i "$quarters" -frames:v 1 $exact quarters.tiff
ff -f lavfi -i "$quarters" -frames:v 1 -pix_fmt rgb48be $exact deep.png
# Exif orientation 6 (turn right to see it upright) in an APP1 segment after the first marker.
{
  head -c 2 upright.jpg
  printf '\377\341\000\042Exif\000\000MM\000\052\000\000\000\010\000\001\001\022\000\003\000\000\000\001\000\006\000\000\000\000\000\000'
  tail -c +3 upright.jpg
} >exif6.jpg

# A GIF with uneven delays (10, 10, 50, 10 hundredths), an animated PNG, a cover, sound alone.
ff -f lavfi -i "color=black:s=16x16:r=10:d=0.4,format=gray,geq=lum=60*N,format=rgb24,\
setpts='if(lt(N,3),N,N+4)*0.1/TB',settb=1/100" -fps_mode vfr $exact uneven.gif
ff -f lavfi -i "color=black:s=16x16:r=10:d=0.4,format=gray,geq=lum=60*N,format=rgb24" -plays 0 $exact -f apng animated.png
ff -f lavfi -i "sine=440:r=8000:d=0.3" -c:a libmp3lame -b:a 8k -flags:a +bitexact -map_metadata -1 sound.mp3
ff -i sound.mp3 -i alpha.png -map 0 -map 1 -c copy -disposition:v attached_pic -id3v2_version 3 cover.mp3

# An animated WebP with uneven delays (100, 400, 100 ms and a last one), its right half clear.
ff -f lavfi -i "color=black:s=16x16:r=10:d=0.4,format=rgba,geq=r='if(lt(X,8),60*(N+1),255)':\
g='if(lt(X,8),60*(N+1),0)':b='if(lt(X,8),60*(N+1),255)':a='if(lt(X,8),255,0)',\
setpts='if(lt(N,2),N,N+3)*0.1/TB',settb=1/100" -fps_mode vfr $exact -c:v libwebp_anim -lossless 1 uneven.webp
# Clear pixels that hide magenta under a white disc; a palette with a clear entry.
ff -f lavfi -i "color=black:s=32x32:r=5:d=0.2,format=rgba,geq=r=255:\
g='if(lt(hypot(X-15.5,Y-15.5),8),255,0)':b=255:a='if(lt(hypot(X-15.5,Y-15.5),8),255,0)'" -frames:v 1 $exact disc.png
ff -f lavfi -i "$quarters" -frames:v 1 -vf "split[a][b];[a]palettegen=max_colors=8[p];[b][p]paletteuse=dither=none" \
  $exact palette.png

# Transparent video: white on the left, magenta under clear pixels on the right.
half="color=black:s=32x32:r=10:d=0.5,format=rgba,geq=r=255:g='if(lt(X,16),255,0)':b=255:a='if(lt(X,16),255,0)'"
ff -f lavfi -i "$half,format=yuva420p" -c:v libvpx-vp9 -auto-alt-ref 0 $exact clear.webm
ff -f lavfi -i "$half,format=yuva420p" -c:v libvpx -auto-alt-ref 0 $exact clear8.webm

# CMYK, which ffmpeg can't write (Pillow does).
python3 -c 'from PIL import Image; Image.open("quarters.bmp").convert("CMYK").save("cmyk.jpg", quality=95, subsampling=0)'

# Files that must be refused.
printf 'Just a text, no picture at all.\n' >text.txt
printf '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nupright.mp4\n#EXT-X-ENDLIST\n' >playlist.m3u8
printf "ffconcat version 1.0\nfile 'upright.mp4'\n" >list.ffconcat
# A PNG header that claims 65535x65535 pixels.
{
  head -c 16 alpha.png
  printf '\000\000\377\377\000\000\377\377'
  tail -c +25 alpha.png
} >huge.png
